import { createHash } from 'node:crypto';

import type { CallContext, ObjectAddress, StorageService } from '@coffer/storage-core';

/** The sha256 of an object, of which all is read for it. */
export async function hashObject(storage: StorageService, at: ObjectAddress, ctx: CallContext): Promise<string> {
  const { body } = await storage.openFile(at, {}, ctx);
  const sum = createHash('sha256');
  for await (const chunk of body) sum.update(chunk as Buffer);
  return sum.digest('hex');
}
