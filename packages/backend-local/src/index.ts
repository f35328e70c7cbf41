export type { LocalAccess, ReadGrant, SignedFor, WriteGrant } from './access.ts';
export { localBackend } from './backend.ts';
export type { LocalBackend, LocalBackendOptions } from './backend.ts';
export type { PresignSettings } from './presign.ts';
