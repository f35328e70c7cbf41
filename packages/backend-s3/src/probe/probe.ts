import { hasCode, noContext } from '@coffer/storage-core';
import type { CallContext, ObjectAddress } from '@coffer/storage-core';

import { reportedRegion } from '../bucket-region.ts';
import { allEnded, allNamed } from '../concurrency.ts';
import { quoted } from '../etag.ts';
import type { EndpointProfile } from '../profile.ts';
import { deleteObject } from '../remove.ts';
import type { Store } from '../store.ts';
import { aclTakesEffect } from './acl.ts';
import { formsOf } from './form.ts';
import { hidesKeysBelowObjects, maySeeLists, refusedKeys } from './keys.ts';
import { maxPartsOf } from './max-parts.ts';
import { presignedPutsOf } from './presigned-put.ts';
import { holds } from './reads.ts';
import { allRefused, answerTo, isAccepted } from './refusals.ts';
import type { Question } from './refusals.ts';
import { bucketRules, keepsVersions } from './rules.ts';
import { openSandbox } from './sandbox.ts';
import type { Sandbox } from './sandbox.ts';
import { checksSignatures } from './signatures.ts';
import { verifiedSumsOf } from './sums.ts';
import { write, writePart } from './writes.ts';

const otherEtag = 'd41d8cd98f00b204e9800998ecf8427e';

/**
 * Finds out what an endpoint does by doing it, because a 200 proves nothing. Works in a bucket of its own, which it deletes afterwards, or,
 * if the credentials may not create one, under a prefix of its own in `bucket`. Sends some two hundred small requests. Once the signal has
 * aborted, it asks nothing more, and only cleans up.
 */
export async function probe(store: Store, bucket: string, ctx: CallContext): Promise<EndpointProfile> {
  const sandbox = await openSandbox(store, bucket, ctx);
  try {
    const copyOf = (ifMatch: string): Promise<unknown> => store.transport.copy({ ...object, ifMatch }, sandbox.at('copy'), {}, noContext);
    const [object, matched, completed] = [sandbox.at('object'), sandbox.at('matched'), sandbox.at('completed')];
    const [written, { etag }] = await allEnded([
      write(store, matched, 'object'),
      write(store, object, 'object'),
      write(store, completed, 'object'),
    ]);
    const { forms, metadata, ...others } = await allNamed({
      region: regionOfNew(store, sandbox),
      checksSignatures: checksSignatures(store, sandbox),
      presignedPuts: presignedPutsOf(store, sandbox, object),
      acl: aclTakesEffect(store, sandbox),
      conditionalPut: isEnforced(sandbox, [() => write(store, object, 'object', { ifNoneMatch: '*' })], () =>
        write(store, sandbox.next('put'), 'put', { ifNoneMatch: '*' }),
      ),
      putMatch: putMatchOf(store, sandbox, matched, written.etag),
      conditionalComplete: isEnforced(
        sandbox,
        [() => writePart(store, completed, { ifNoneMatch: '*' }), () => writePart(store, completed, { ifMatch: quoted(otherEtag) })],
        () => writePart(store, sandbox.next('put-by-parts'), { ifNoneMatch: '*' }),
      ),
      maxParts: maxPartsOf(store, sandbox),
      conditionalCopy: copyNoneMatchOf(store, sandbox, object),
      copySourceCondition: isEnforced(sandbox, [() => copyOf(otherEtag)], () => copyOf(etag)),
      conditionalDelete: isEnforced(sandbox, [() => writeAndDelete(store, sandbox, otherEtag)], () => writeAndDelete(store, sandbox)),
      verifiedSums: verifiedSumsOf(store, sandbox),
      forms: formsOf(store, sandbox),
      metadata: metadataKept(store, sandbox),
      storageClasses: keepsStorageClass(store, sandbox),
    });
    const aclDenied = !others.acl && (await isAclDenied(store, sandbox));
    const mayList = await maySeeLists(store, sandbox);
    const keys = {
      refusedKeys: await refusedKeys(store, sandbox, mayList),
      hidesKeysBelowObjects: await hidesKeysBelowObjects(store, sandbox, mayList),
    };
    // From here on, the bucket keeps versions, if the server supports them. Not every server deletes the versions of all these keys.
    await sandbox.clear(object);
    const rules = await bucketRules(store, sandbox);
    const ofVersions = async (): Promise<boolean | undefined> => {
      if (rules.versioning === false) return true;
      if (rules.versioning === true) return comparesVersions(store, sandbox, object);
      // If the bucket in use keeps versions, these have already been probed.
      return (await keepsVersions(store, sandbox)) ? others.conditionalPut : undefined;
    };
    const conditionalPutOfVersions = await ofVersions();
    return {
      ...others,
      ...forms,
      ...metadata,
      aclDenied,
      conditionalPutOfVersions,
      ...rules,
      ...keys,
      // Last, because this may delete the bucket.
      keepsFullBuckets: await keepsFullBuckets(store, sandbox),
    };
  } finally {
    // Leftovers must not cost the result: another probe would only leave the same again.
    await sandbox.close().catch(() => {});
  }
}

/**
 * Whether a condition is enforced: requests that it rules out are refused, and one that meets it is not. Some servers, such as Backblaze B2,
 * refuse every request that has a condition.
 */
async function isEnforced(sandbox: Sandbox, ruledOut: readonly Question[], met: Question): Promise<boolean> {
  return (await allRefused(sandbox, ...ruledOut)) && isAccepted(sandbox, met);
}

/** @param etag the current ETag of the object */
async function putMatchOf(store: Store, sandbox: Sandbox, at: ObjectAddress, etag: string): Promise<EndpointProfile['putMatch']> {
  const writeMatching = (ifMatch: string): Promise<unknown> => write(store, at, 'object', { ifMatch });
  for (const [name, spell] of [
    ['quoted', quoted],
    ['bare', String],
  ] as const) {
    if (!(await allRefused(sandbox, () => writeMatching(spell(otherEtag))))) return false;
    if (await isAccepted(sandbox, () => writeMatching(spell(etag)))) return name;
  }
  return false;
}

/** Swift applies the condition to the source, and refuses every copy. LocalStack has written the bytes by the time it refuses. */
async function copyNoneMatchOf(store: Store, sandbox: Sandbox, object: ObjectAddress): Promise<boolean> {
  const copyTo = (at: ObjectAddress): Promise<unknown> => store.transport.copy(object, at, { ifNoneMatch: '*' }, noContext);
  const [taken, text] = [sandbox.at('object-taken'), 'taken!']; // as long as the source: LocalStack still tells the length of this
  await write(store, taken, text);
  if (!(await isEnforced(sandbox, [() => copyTo(taken)], () => copyTo(sandbox.next('object-copied'))))) return false;
  return isAccepted(sandbox, () => holds(store, taken, text));
}

/** Deletes a new object on condition of an ETag. Default: its own. */
async function writeAndDelete(store: Store, sandbox: Sandbox, ifMatch?: string): Promise<void> {
  const at = sandbox.next('deleted');
  const { etag } = await write(store, at, 'deleted');
  await store.transport.delete(at, noContext, { ifMatch: ifMatch ?? etag });
}

/**
 * Whether If-None-Match is enforced where versions are kept; undefined if none is. Zones of Ceph other than the master may take it back for
 * a moment, until they have heard from the master, and then enforce what they ignore later.
 */
async function comparesVersions(store: Store, sandbox: Sandbox, object: ObjectAddress): Promise<boolean | undefined> {
  const isCompared = (): Promise<boolean> => allRefused(sandbox, () => write(store, object, 'object', { ifNoneMatch: '*' }));
  if (!(await isCompared())) return false;
  let versionId: string | undefined;
  await answerTo(sandbox, async () => void ({ versionId } = await write(store, object, 'object')));
  if (versionId === undefined) return undefined;
  await deleteObject(store, object, noContext, versionId).catch(() => {}); // otherwise only who may list versions could delete the bucket
  return isCompared();
}

async function metadataKept(store: Store, sandbox: Sandbox): Promise<Pick<EndpointProfile, 'keepsUnderscores' | 'keepsEmptyValues'>> {
  const at = sandbox.at('metadata');
  // nginx drops headers with a "_" unless configured otherwise, and then the signature does not match.
  if (!(await isAccepted(sandbox, () => write(store, at, '', { metadata: { a_b: 'c', empty: '' } }))))
    await write(store, at, '', { metadata: { empty: '' } });
  const { metadata } = await store.transport.head(at, noContext);
  return { keepsUnderscores: metadata['a_b'] === 'c', keepsEmptyValues: metadata['empty'] === '' };
}

/**
 * The first class that the server accepts tells; some keep that one, and count others as one of those that they have. Any failure means that
 * a class was not forgotten.
 */
async function keepsStorageClass(store: Store, sandbox: Sandbox): Promise<boolean> {
  // JuiceFS refuses the first one, and forgets the second.
  const classes = { class: 'STANDARD_IA', 'class-reduced': 'REDUCED_REDUNDANCY' };
  for (const [key, storageClass] of Object.entries(classes)) {
    const at = sandbox.at(key);
    const answer = await answerTo(sandbox, () => write(store, at, 'class', { storageClass }), { isDispensable: true });
    if (answer === true) return (await store.transport.head(at, noContext)).storageClass === storageClass;
  }
  return true;
}

async function isAclDenied(store: Store, sandbox: Sandbox): Promise<boolean> {
  const answer = await answerTo(sandbox, () => write(store, sandbox.at('denied'), 'public', { acl: 'public-read' }));
  return hasCode(answer, 'access_denied');
}

async function regionOfNew(store: Store, sandbox: Sandbox): Promise<string | undefined> {
  if (!sandbox.isOwn) return undefined;
  let region: string | undefined;
  await answerTo(sandbox, async () => void (region = await reportedRegion(store, sandbox.bucket, noContext)));
  return region;
}

async function keepsFullBuckets(store: Store, sandbox: Sandbox): Promise<boolean | undefined> {
  const { bucket, isOwn } = sandbox;
  if (!isOwn) return undefined;
  const answer = await answerTo(sandbox, async () => {
    await store.administration.deleteBucket(bucket, noContext);
    return isGone(store, bucket);
  });
  if (typeof answer === 'boolean') return false;
  return hasCode(answer, 'bucket_not_empty') || undefined; // another refusal says nothing about what is in the bucket
}

async function isGone(store: Store, bucket: string): Promise<boolean> {
  try {
    await store.transport.headBucket(bucket, noContext);
    return false;
  } catch (error) {
    if (!hasCode(error, 'no_such_bucket')) throw error;
    return true;
  }
}
