import { hasCode, noContext } from '@coffer/storage-core';

import { inParallel } from '../concurrency.ts';
import { keyClasses } from '../key-classes.ts';
import type { KeyClass } from '../key-classes.ts';
import type { Store } from '../store.ts';
import { holds } from './reads.ts';
import { answerTo, isAccepted } from './refusals.ts';
import type { Sandbox } from './sandbox.ts';
import { write } from './writes.ts';

/** Each key takes round trips one after the other. On a distant server, these are half of the time of the whole probe. */
const parallel = 8;

/** If the credentials may not see lists, every key is missing from them, which says nothing about the server. */
export async function maySeeLists(store: Store, sandbox: Sandbox): Promise<boolean> {
  const { bucket, key } = sandbox.at('listed');
  return !hasCode(await answerTo(sandbox, () => store.transport.list(bucket, { prefix: key, maxKeys: 1 }, noContext)), 'access_denied');
}

/** The kinds of keys that the server refuses, does not list under their name, or confuses with others. */
export async function refusedKeys(store: Store, sandbox: Sandbox, mayList: boolean): Promise<readonly KeyClass[]> {
  const refusedOf = async (classes: readonly KeyClass[], atOnce: number): Promise<readonly KeyClass[]> => {
    const held = await inParallel(classes, atOnce, (name) => isSupported(store, sandbox, keyClasses[name].twins, mayList));
    return classes.filter((_name, index) => !held[index]);
  };
  const doubtful = await refusedOf(Object.keys(keyClasses) as KeyClass[], parallel);
  // While it makes another list, MinIO of early 2021 on several drives may show `a/` in place of `a`.
  return refusedOf(doubtful, 1);
}

/** Whether `x/y` cannot exist beside `x`, or lists leave it out. */
export async function hidesKeysBelowObjects(store: Store, sandbox: Sandbox, mayList: boolean): Promise<boolean> {
  const [above, below] = [sandbox.at('x'), sandbox.at('x/y')];
  await write(store, above, 'x');
  const isShown = async (): Promise<boolean> => {
    await write(store, below, 'y');
    if (!mayList) return true;
    const { objects } = await store.transport.list(sandbox.bucket, { prefix: above.key }, noContext);
    return objects.some(({ key }) => key === below.key);
  };
  return !(await isAccepted(sandbox, isShown));
}

function isSupported(store: Store, sandbox: Sandbox, [oddKey, plainKey]: readonly [string, string], mayList: boolean): Promise<boolean> {
  const [odd, plain] = [sandbox.at(oddKey), sandbox.at(plainKey)];
  return isAccepted(sandbox, async () => {
    for (const at of [odd, plain]) await write(store, at, at.key);
    for (const at of [odd, plain]) {
      if (!(await holds(store, at, at.key))) return false;
    }
    if (!mayList) return true;
    // Some keys are listed only under their own name. Whether `x/` exists beside `x` is another question.
    const prefixes = [odd.key, plain.key].filter((prefix) => odd.key.startsWith(prefix) && odd.key[prefix.length] !== '/');
    for (const prefix of prefixes) {
      const { objects } = await store.transport.list(odd.bucket, { prefix }, noContext);
      if (!objects.some(({ key }) => key === odd.key)) return false;
    }
    return true;
  });
}
