import { isStorageError, noContext, readAll } from '@coffer/storage-core';
import type { ObjectAddress } from '@coffer/storage-core';

import { inParallel } from './call.ts';
import { listObjects } from './list.ts';
import type { Sandbox } from './probe-sandbox.ts';
import type { Write } from './probe-writes.ts';
import { keyTwins } from './profile.ts';
import type { KeyClass } from './profile.ts';
import type { Store } from './store.ts';

/** The kinds of keys that the server refuses, does not list under their name, or takes for others. */
export async function refusedKeys(store: Store, sandbox: Sandbox, write: Write): Promise<readonly KeyClass[]> {
  const classes = Object.keys(keyTwins) as KeyClass[];
  const held = await inParallel(classes, 3, (name) =>
    isHeld(
      store,
      keyTwins[name].map((key) => sandbox.at(key)),
      write,
    ),
  );
  return classes.filter((_name, index) => held[index] === false);
}

async function isHeld(store: Store, twins: readonly ObjectAddress[], write: Write): Promise<boolean> {
  try {
    for (const at of twins) await write(at, at.key);
    for (const at of twins) {
      const result = await store.transport.get(at, {}, noContext);
      if (result.kind !== 'object' || (await readAll(result.body)).toString() !== at.key) return false;
    }
    const [odd] = twins;
    if (odd === undefined) return true;
    const { objects } = await listObjects(store, odd.bucket, { prefix: odd.key }, noContext);
    return objects.some(({ key }) => key === odd.key);
  } catch (error) {
    if (!isStorageError(error) || error.retryable) throw error;
    return false;
  }
}
