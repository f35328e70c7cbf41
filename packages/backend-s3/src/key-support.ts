import { storageError } from '@coffer/storage-core';
import type { CallContext, ObjectAddress } from '@coffer/storage-core';

import { commonKeyClasses, keyClassesOf } from './key-classes.ts';
import type { KeyClass } from './key-classes.ts';
import type { Store } from './store.ts';

/** Every server keeps most keys apart; for the others this one has to be probed. @throws invalid_key */
export async function assertKeySupported(store: Store, { bucket, key }: ObjectAddress, ctx: CallContext): Promise<void> {
  ctx.signal?.throwIfAborted();
  const classes = keyClassesOf(key);
  if (classes.length === 0) return;
  const [name] = await refusedKeys(store, bucket, classes, ctx);
  if (name !== undefined) throw storageError('invalid_key', `This storage provider cannot keep keys with ${name} apart from others.`);
}

/** Those of the given classes that the server does not keep apart, as far as can be told. */
export async function refusedKeys(
  store: Store,
  bucket: string,
  classes: readonly KeyClass[],
  ctx: CallContext,
): Promise<readonly KeyClass[]> {
  const needsProbe = classes.some((name) => !commonKeyClasses.has(name));
  const profile = needsProbe ? await store.endpoint.profileIfAllowed(bucket, ctx) : store.endpoint.known;
  return classes.filter((name) => profile?.refusedKeys.includes(name) === true);
}
