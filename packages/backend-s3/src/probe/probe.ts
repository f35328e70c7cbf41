import { hasCode, noContext } from '@coffer/storage-core';
import type { ObjectAddress } from '@coffer/storage-core';

import { reportedRegion } from '../bucket-region.ts';
import { allEnded, allNamed } from '../concurrency.ts';
import { quoted } from '../etag.ts';
import type { EndpointProfile } from '../profile.ts';
import type { Store } from '../store.ts';
import { aclTakesEffect } from './acl.ts';
import { formsOf } from './form.ts';
import { hidesKeysBelowObjects, refusedKeys } from './keys.ts';
import { maxPartsOf } from './max-parts.ts';
import { presignedPutsOf } from './presigned-put.ts';
import { allRefused, isAccepted, isDenied } from './refusals.ts';
import { bucketRules } from './rules.ts';
import { openSandbox } from './sandbox.ts';
import type { Sandbox } from './sandbox.ts';
import { checksSignatures } from './signatures.ts';
import { verifiedSumsOf } from './sums.ts';
import { write, writePart } from './writes.ts';

const otherEtag = 'd41d8cd98f00b204e9800998ecf8427e';

/**
 * Finds out what an endpoint does by doing it, because a 200 proves nothing. Works in a bucket of its own, which it deletes afterwards, or,
 * if the credentials may not create one, under a prefix of its own in `bucket`. Sends some two hundred small requests.
 */
export async function probe(store: Store, bucket: string): Promise<EndpointProfile> {
  const sandbox = await openSandbox(store, bucket);
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
      conditionalPut: isEnforced([write(store, object, 'object', { ifNoneMatch: '*' })], () =>
        write(store, sandbox.at('put'), 'put', { ifNoneMatch: '*' }),
      ),
      putMatch: putMatchOf(store, matched, written.etag),
      conditionalComplete: isEnforced(
        [writePart(store, completed, { ifNoneMatch: '*' }), writePart(store, completed, { ifMatch: quoted(otherEtag) })],
        () => writePart(store, sandbox.at('put-by-parts'), { ifNoneMatch: '*' }),
      ),
      maxParts: maxPartsOf(store, sandbox.at('parts')),
      conditionalCopy: copyNoneMatchOf(store, sandbox, object),
      copySourceCondition: isEnforced([copyOf(otherEtag)], () => copyOf(etag)),
      verifiedSums: verifiedSumsOf(store, sandbox),
      forms: formsOf(store, sandbox),
      metadata: metadataKept(store, sandbox.at('metadata')),
      storageClasses: keepsStorageClass(store, sandbox.at('class')),
    });
    const aclDenied = !others.acl && (await isDenied(write(store, sandbox.at('denied'), 'public', { acl: 'public-read' })));
    const keys = {
      refusedKeys: await refusedKeys(store, sandbox),
      hidesKeysBelowObjects: await hidesKeysBelowObjects(store, sandbox),
    };
    // From here on, the bucket keeps versions, if the server supports them. Not every server deletes the versions of all these keys.
    await sandbox.clear(object);
    const rules = await bucketRules(store, sandbox);
    const ofVersions = async (): Promise<boolean | undefined> => {
      if (rules.versioning === false) return true;
      if (rules.versioning === true) return allRefused(write(store, object, 'object', { ifNoneMatch: '*' }));
      // If the bucket in use keeps versions, these have already been probed.
      const keeps = await store.administration.getVersioning(sandbox.bucket, noContext).catch(() => false);
      return keeps ? others.conditionalPut : undefined;
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
      keepsFullBuckets: sandbox.isOwn ? !(await isAccepted(store.administration.deleteBucket(sandbox.bucket, noContext))) : undefined,
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
async function isEnforced(ruledOut: readonly Promise<unknown>[], met: () => Promise<unknown>): Promise<boolean> {
  return (await allRefused(...ruledOut)) && isAccepted(met());
}

/** @param etag the current ETag of the object */
async function putMatchOf(store: Store, at: ObjectAddress, etag: string): Promise<EndpointProfile['putMatch']> {
  for (const [name, spell] of [
    ['quoted', quoted],
    ['bare', String],
  ] as const) {
    if (!(await allRefused(write(store, at, 'object', { ifMatch: spell(otherEtag) })))) return false;
    if (await isAccepted(write(store, at, 'object', { ifMatch: spell(etag) }))) return name;
  }
  return false;
}

/** Swift applies the condition to the source, and refuses every copy. */
async function copyNoneMatchOf(store: Store, sandbox: Sandbox, object: ObjectAddress): Promise<boolean> {
  const copyTo = (at: ObjectAddress): Promise<unknown> => store.transport.copy(object, at, { ifNoneMatch: '*' }, noContext);
  const taken = sandbox.at('object-taken');
  await write(store, taken, 'taken');
  return isEnforced([copyTo(taken)], () => copyTo(sandbox.at('object-copied')));
}

async function metadataKept(store: Store, at: ObjectAddress): Promise<Pick<EndpointProfile, 'keepsUnderscores' | 'keepsEmptyValues'>> {
  // nginx drops headers with a "_" unless configured otherwise, and then the signature does not match.
  if (!(await isAccepted(write(store, at, '', { metadata: { a_b: 'c', empty: '' } }))))
    await write(store, at, '', { metadata: { empty: '' } });
  const { metadata } = await store.transport.head(at, noContext);
  return { keepsUnderscores: metadata['a_b'] === 'c', keepsEmptyValues: metadata['empty'] === '' };
}

async function keepsStorageClass(store: Store, at: ObjectAddress): Promise<boolean> {
  const storageClass = 'STANDARD_IA';
  // Any failure means that the class was not forgotten, and says nothing about the rest of the probe.
  const isWritten = await write(store, at, 'class', { storageClass }).then(
    () => true,
    () => false,
  );
  if (!isWritten) return true;
  return (await store.transport.head(at, noContext)).storageClass === storageClass;
}

async function regionOfNew(store: Store, { bucket, isOwn }: Sandbox): Promise<string | undefined> {
  if (!isOwn) return undefined;
  try {
    return await reportedRegion(store, bucket, noContext);
  } catch (error) {
    if (hasCode(error, 'access_denied', 'not_supported')) return undefined;
    throw error;
  }
}
