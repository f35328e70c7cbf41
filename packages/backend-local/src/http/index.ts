export { localHttpHandler } from './handler.ts';
export type { LocalHttpHandler, LocalHttpOptions } from './handler.ts';
