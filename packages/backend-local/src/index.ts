export type { LocalAccess, ReadGrant, WriteGrant } from './access.ts';
export { localBackend } from './backend.ts';
export type { LocalBackend, LocalBackendOptions } from './backend.ts';
export type { PresignSettings } from './presign.ts';
