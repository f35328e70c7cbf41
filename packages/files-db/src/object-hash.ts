import { createHash } from 'node:crypto';

import type { CallContext, ObjectAddress, StorageService } from '@coffer/storage-core';

/** The SHA-256 or MD5 of an object in lower-case hex; reads the whole object. */
export async function hashObject(
  storage: StorageService,
  at: ObjectAddress,
  ctx: CallContext,
  algorithm: 'sha256' | 'md5' = 'sha256',
): Promise<string> {
  const { body } = await storage.openFile(at, {}, ctx);
  const sum = createHash(algorithm);
  for await (const chunk of body) sum.update(chunk as Buffer);
  return sum.digest('hex');
}
