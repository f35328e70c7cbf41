import { hasCode, storageError } from '@coffer/storage-core';
import type { CallContext, CannedAcl, InFlight, ObjectAddress, PutOptions, StorageError } from '@coffer/storage-core';

import type { Connection } from './connection.ts';
import type { Door } from './door.ts';
import type { Endpoint } from './endpoint.ts';
import { causeName } from './errors.ts';
import type { Lender } from './lenders.ts';
import type { Settings } from './settings.ts';
import { everydayKeys, keyClassesOf } from './profile.ts';
import type { KeyClass } from './profile.ts';
import type { Slots } from './slots.ts';
import type { Tenants } from './tenants.ts';
import { toldAcl } from './told-acl.ts';
import type { UploadMemory } from './upload-memory.ts';

/** What all operations of one backend share. */
export interface Store extends Door {
  readonly settings: Settings;
  readonly connection: Connection;
  readonly endpoint: Endpoint;
  readonly memory: UploadMemory;
  /** Of whom objects were asked for, or written. */
  readonly tenants: Tenants;
  /** What is cleaned up for callers who did not wait. A store that is closed waits for it, for a while. */
  readonly cleaning: Set<Promise<void>>;
  /** Open bodies. They leave some sockets to everything else, so that readers who go away cannot stop writers. */
  readonly downloads: Slots;
  /** Of those, the ones whose connections may serve others while their readers want nothing. */
  readonly lenders: InFlight<Lender>;
}

/** Most keys are kept apart by every server; the others need a look at what this one does. @throws invalid_key */
export async function assertKeyHolds(store: Store, { bucket, key }: ObjectAddress, ctx: CallContext): Promise<void> {
  ctx.signal?.throwIfAborted();
  const classes = keyClassesOf(key);
  if (classes.length === 0) return;
  const refused = await refusedKeys(store, bucket, classes, ctx);
  const [name] = classes.filter((each) => refused.includes(each));
  if (name !== undefined) throw storageError('invalid_key', `This storage provider cannot keep keys with ${name} apart from others.`);
}

/** Of keys of these kinds, those that the server does not keep apart, as far as that can be told. */
export async function refusedKeys(
  store: Store,
  bucket: string,
  classes: readonly KeyClass[],
  ctx: CallContext,
): Promise<readonly KeyClass[]> {
  const isTried = classes.some((name) => !everydayKeys.has(name));
  const profile = isTried ? await store.endpoint.profileIfAllowed(bucket, ctx) : store.endpoint.known;
  return profile?.refusedKeys ?? [];
}

/** Some servers set the rules of buckets that are not there, and say that they have. @throws no_such_bucket */
export async function assertBucketThere(store: Store, bucket: string, ctx: CallContext): Promise<void> {
  if (store.settings.isAws) return;
  try {
    await store.transport.headBucket(bucket, ctx);
  } catch (error) {
    if (!hasCode(error, 'access_denied')) throw error; // who may not look may still set them
  }
}

/** What is said of an object that is to be written. @throws invalid_key, invalid_argument, acl_not_supported, not_supported */
export async function assertWriteHolds(
  store: Store,
  at: ObjectAddress,
  { acl, storageClass }: Pick<PutOptions, 'acl' | 'storageClass'>,
  ctx: CallContext,
): Promise<void> {
  await assertKeyHolds(store, at, ctx);
  await assertAclHolds(store, at.bucket, acl, ctx);
  await assertClassHolds(store, at.bucket, storageClass, ctx);
}

/** @throws acl_not_supported, save for `private`, which is what every server does anyway */
export async function assertAclHolds(store: Store, bucket: string, acl: CannedAcl | undefined, ctx: CallContext): Promise<void> {
  if (toldAcl(acl).acl !== undefined) await assertAcls(store, bucket, ctx);
}

/** @throws acl_not_supported where the server has no ACLs or ignores them */
export async function assertAcls(store: Store, bucket: string, ctx: CallContext): Promise<void> {
  if (!(await store.endpoint.profile(bucket, ctx)).acl) throw withoutAcls(store);
}

export function withoutAcls({ settings }: Store): StorageError {
  return storageError('acl_not_supported', `The ${settings.name} backend does not support access control lists at this endpoint.`);
}

/** @throws invalid_argument, not_supported where the server forgets storage classes: `STANDARD` is what it has anyway */
async function assertClassHolds(store: Store, bucket: string, storageClass: string | undefined, ctx: CallContext): Promise<void> {
  if (storageClass === undefined || storageClass === 'STANDARD') return;
  // Headers lose white space, and the server would write another class than it was told; of other characters, the signature may not hold.
  if (!/^[!-~]+$/.test(storageClass))
    throw storageError('invalid_argument', 'A storage class must be one or more ASCII characters without white space.');
  if ((await store.endpoint.profileIfAllowed(bucket, ctx))?.storageClasses !== false) return;
  throw storageError('not_supported', 'This storage provider has no storage class but STANDARD: it accepts others and forgets them.');
}

const usualAcls: ReadonlySet<CannedAcl> = new Set(['private', 'public-read']);

/** What is wrong with a request that says an ACL: of one that they do not know, servers that have others say all sorts of things. */
export function withAclNamed(error: unknown, acl: CannedAcl | undefined): unknown {
  if (acl === undefined || usualAcls.has(acl) || causeName(error) !== 'NotImplemented') return error;
  return storageError('invalid_argument', `The storage provider does not know the ACL "${acl}".`, { cause: error });
}
