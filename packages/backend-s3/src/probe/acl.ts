import { hasCode, noContext } from '@coffer/storage-core';
import type { ObjectAddress } from '@coffer/storage-core';

import { allEnded } from '../concurrency.ts';
import type { Store } from '../store.ts';
import { answerTo, isAccepted } from './refusals.ts';
import type { Sandbox } from './sandbox.ts';
import { isAcceptedUnsigned, objectUrl } from './unsigned.ts';
import { write, writePart } from './writes.ts';

/**
 * Whether ACLs take effect wherever they can be set: callers who are told that an object is private, or public, rely on it. Refusing an ACL
 * does not count as ignoring it.
 */
export async function aclTakesEffect(store: Store, sandbox: Sandbox): Promise<boolean> {
  const acl = 'public-read';
  const at = sandbox.at('public');
  const isPublicAfter = async (place: ObjectAddress, making: Promise<unknown>): Promise<boolean> => {
    await making;
    return isPublic(store, sandbox, place);
  };
  if (!(await isAccepted(sandbox, () => isPublicAfter(at, write(store, at, 'public', { acl }))))) return false;
  const takesEffect = async (place: ObjectAddress, making: () => Promise<unknown>): Promise<boolean> =>
    (await answerTo(sandbox, () => isPublicAfter(place, making()))) !== false;
  const [byParts, copied, changed] = [sandbox.at('public-parts'), sandbox.at('public-copy'), sandbox.at('public-later')];
  await write(store, changed, 'private');
  if (await isPublic(store, sandbox, changed)) return false;
  // LocalStack reports ACLs, but lets anybody read whatever they say. A bucket that others use may have a policy that allows this.
  if (sandbox.isOwn && (await isOpenToAll(store, sandbox, changed))) return false;
  const all = await allEnded([
    takesEffect(byParts, () => writePart(store, byParts, { acl })),
    takesEffect(copied, () => store.transport.copy(at, copied, { acl }, noContext)),
    takesEffect(changed, () => store.administration.putObjectAcl(changed, acl, noContext)),
  ]);
  if (all.includes(false)) return false;
  const isTakenBack = async (): Promise<boolean> => {
    await store.administration.putObjectAcl(at, 'private', noContext);
    return !(await isPublic(store, sandbox, at));
  };
  return (await answerTo(sandbox, isTakenBack)) !== false;
}

/** Whether anybody can read the object, and the ACL says so, if the credentials may read it. */
export async function isPublic(store: Store, sandbox: Sandbox, at: ObjectAddress): Promise<boolean> {
  let isGranted = false;
  const answer = await answerTo(sandbox, async () => {
    const { grants } = await store.transport.getAcl(at, noContext);
    isGranted = grants.some(({ grantee }) => grantee.uri?.endsWith('/AllUsers') === true);
  });
  return (isGranted || hasCode(answer, 'access_denied')) && (await isOpenToAll(store, sandbox, at));
}

/** Whether anybody may read an object without a signature. */
async function isOpenToAll(store: Store, sandbox: Sandbox, at: ObjectAddress): Promise<boolean> {
  const { url } = await store.presigners.internal.form(at, { expiresIn: 600 });
  return isAcceptedUnsigned(store, sandbox, { url: objectUrl(url, at.key), method: 'GET', headers: {} });
}
