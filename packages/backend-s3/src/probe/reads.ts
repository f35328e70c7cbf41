import type { Readable } from 'node:stream';

import { noContext, readAll } from '@coffer/storage-core';
import type { ObjectAddress } from '@coffer/storage-core';

import { toStorageError } from '../errors.ts';
import type { Store } from '../store.ts';

/** Whether the bytes of an object are this text. */
export async function holds(store: Store, at: ObjectAddress, text: string): Promise<boolean> {
  const result = await store.transport.get(at, {}, noContext);
  return result.kind === 'object' && (await textOf(result.body)) === text;
}

async function textOf(body: Readable): Promise<string> {
  try {
    return (await readAll(body)).toString();
  } catch (error) {
    throw toStorageError(error, { permission: 's3:GetObject' }); // nobody guards the body
  }
}
