import { hasCode, noContext } from '@coffer/storage-core';
import type { CannedAcl, ObjectAddress, PresignUploadOptions } from '@coffer/storage-core';

import { ask } from './request.ts';
import type { Answer, Ask } from './request.ts';
import type { Served } from './storage.ts';

/** Common steps of the HTTP handler's tests, in the bucket called `bucket`. */
export interface Client {
  at(key: string): ObjectAddress;
  put(key: string, text: string, acl?: CannedAcl, contentType?: string): Promise<unknown>;
  get(target: string, options?: Ask): Promise<Answer>;
  /** The request target of a presigned URL, as a client sends it. */
  targetOf(url: string): string;
  downloadOf(key: string): Promise<string>;
  uploadOf(key: string, options?: Partial<PresignUploadOptions>): Promise<string>;
  isAbsent(key: string): Promise<boolean>;
}

export function clientOf({ backend, url: base }: Served): Client {
  const at = (key: string): ObjectAddress => ({ bucket: 'bucket', key });
  const targetOf = (url: string): string => url.slice(base.length);
  return {
    at,
    targetOf,
    put: (key, text, acl = 'private', contentType = 'text/plain') =>
      backend.put(at(key), { kind: 'buffer', data: Buffer.from(text) }, { contentType, acl }, noContext),
    get: (target, options) => ask(base, target, options),
    downloadOf: async (key) => targetOf((await backend.presign!.download(at(key), { expiresIn: 60 }, noContext)).url),
    uploadOf: async (key, options = {}) =>
      targetOf((await backend.presign!.upload(at(key), { expiresIn: 60, method: 'PUT', ...options }, noContext)).url),
    isAbsent: (key) =>
      backend.head(at(key), noContext).then(
        () => false,
        (error: unknown) => hasCode(error, 'file_not_found'),
      ),
  };
}
