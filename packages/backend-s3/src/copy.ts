import { isDeepStrictEqual } from 'node:util';

import { hasCode, noContext, storageError } from '@coffer/storage-core';
import type { CallContext, CopiedObject, CopyOptions, ObjectAddress } from '@coffer/storage-core';

import { aclHeader } from './acl-header.ts';
import { translateAclError } from './acl-support.ts';
import { inTurn } from './bulk-request.ts';
import { carriedAcl, setGrants } from './carried-acl.ts';
import { copyByParts } from './copy/by-parts.ts';
import { asSourceError, assertAbsent, isAbsent, isSame, isUnchanged, keyTaken, sourceChanged } from './copy/copy-of.ts';
import type { Copy, WrittenUnlessChanged } from './copy/copy-of.ts';
import { lookAtCopy } from './copy/look-at-copy.ts';
import { copyThroughClient } from './copy/through-client.ts';
import { isEtag } from './etag.ts';
import { assertKeySupported } from './key-support.ts';
import { largestPut, smallestPart } from './limits.ts';
import { decodeMetadata } from './metadata.ts';
import type { EndpointProfile } from './profile.ts';
import { requireSize, toObjectInfo, withBucketCheck } from './read.ts';
import { deleteObject } from './remove.ts';
import type { Store } from './store.ts';
import type { ObjectHeaders, WriteHeaders, Written } from './transport.ts';
import { recoverLostWrite } from './upload/recover-lost-write.ts';
import { formerVersions, keepsUncomparedVersions, mayShareBytes } from './versioning.ts';
import type { FormerVersions } from './versioning.ts';
import { assertWriteSupported } from './write-support.ts';

/** How often a source is inspected that is replaced again and again. */
const mostLooks = 5;

/**
 * Copies on the server, with content type, metadata and ACL. Makes up for conditions that the server ignores: small objects are read and
 * written by this process under conditions that are enforced; for large ones the versions are compared before and after.
 */
export async function copyObject(
  store: Store,
  { source, destination }: { readonly source: ObjectAddress; readonly destination: ObjectAddress },
  options: CopyOptions,
  ctx: CallContext,
): Promise<CopiedObject> {
  await assertKeySupported(store, source, ctx);
  await assertWriteSupported(store, destination, options, ctx);
  for (let looks = 1; ; looks++) {
    const copied = await inspectAndCopy(store, { source, destination }, options, ctx);
    if (copied !== undefined) return copied;
    // Who requested no particular version gets the newer one.
    if (options.ifMatch !== undefined || looks === mostLooks) throw sourceChanged();
  }
}

/** A copy before it matters how the server behaves. */
type Inspected = Omit<Copy, 'profile'>;

/** @returns undefined as `WrittenUnlessChanged` */
async function inspectAndCopy(
  store: Store,
  { source, destination }: { readonly source: ObjectAddress; readonly destination: ObjectAddress },
  options: CopyOptions,
  ctx: CallContext,
): Promise<CopiedObject | undefined> {
  const { ifMatch, ifNoneMatch, onlyIf, acl: requestedAcl } = options;
  const loadingAcl = requestedAcl === undefined ? carriedAcl(store, source, destination, ctx) : undefined;
  loadingAcl?.catch(() => {}); // errors of the source are reported below
  let asked: Promise<FormerVersions> | undefined;
  const versions = (): Promise<FormerVersions> => (asked ??= formerVersions(store, source.bucket, ctx));
  const sharing = async (): Promise<boolean> => mayShareBytes(store, await versions(), destination.bucket, ctx);
  // Copies under a condition seldom depend on it; for the others it is known once the source has been inspected. Whether they do also
  // depends on the source: before that, nothing is tried out, which a process that ends with the copy would leave half done.
  if (ifMatch === undefined && onlyIf === undefined && !isSame(source, destination)) versions().catch(() => {});
  const head = await withBucketCheck(store, source, ctx, () => store.transport.head(source, ctx));
  const from = toObjectInfo(source, head, requireSize(head));
  if (ifMatch !== undefined && ifMatch !== from.etag) throw sourceChanged();
  const metadata = await decodeMetadata(store, source.bucket, from.metadata, ctx);
  if (onlyIf !== undefined && !onlyIf({ ...from, metadata }))
    throw storageError('precondition_failed', 'The source of the copy does not meet the condition.');
  if (ifNoneMatch !== undefined && isSame(source, destination)) throw keyTaken();

  const sourceAcl = await loadingAcl;
  const acl = requestedAcl ?? sourceAcl?.canned;
  const storageClass = options.storageClass ?? (from.storageClass === 'STANDARD' ? undefined : from.storageClass);
  const headers: WriteHeaders = {
    contentType: from.contentType,
    metadata: from.metadata,
    ...aclHeader(acl),
    ...(storageClass !== undefined && { storageClass }),
  };
  const inspected = { source, destination, options, from, carried: head.carried, tagCount: head.tagCount, sharing, headers, ctx };
  const written = await perform(store, inspected).catch((error: unknown) => {
    throw translateAclError(error, requestedAcl);
  });
  if (written === undefined) return undefined;
  if (sourceAcl?.acl !== undefined) await setGrants(store, destination, sourceAcl.acl, ctx);
  const { versionId: _versionId, ...described } = (isPinned(inspected) ? undefined : await lookAtCopy(store, inspected, written)) ?? {
    ...from,
    metadata,
  };
  return {
    ...described,
    ...destination,
    storageClass: storageClass ?? 'STANDARD',
    lastModified: new Date(),
    ...written,
    ...(store.endpoint.conditionalDelete !== false && isEtag(from.etag) && { sourceEtag: from.etag }),
  };
}

async function perform(store: Store, inspected: Inspected): Promise<WrittenUnlessChanged> {
  const copy: Copy = { ...inspected, profile: await profileFor(store, inspected) };
  const { options, from, source, destination, profile, ctx } = copy;
  const { ifNoneMatch } = options;
  const unenforced =
    profile !== undefined && ((ifNoneMatch !== undefined && !profile.conditionalCopy) || (isPinned(copy) && !profile.copySourceCondition));
  const isSmall = from.size <= store.memory.partSize;
  if (unenforced && isSmall && (await isPutEnforced(store, copy, profile))) return withTags(store, copy, () => copySmall(store, copy));
  if (unenforced && ifNoneMatch !== undefined) await assertAbsent(store, destination, ctx);
  const isShared = from.versionId === undefined && !isSame(source, destination) && (await copy.sharing());
  if (isShared && isSmall) return withTags(store, copy, () => copyThroughClient(store, copy));
  const make = mayTakeOtherVersion(store, copy) ? copyLatest : unenforced ? copyAndVerify : copyInOneRequest;
  const whole = (): Promise<WrittenUnlessChanged> => make(store, copy).catch((error: unknown) => copyOtherwise(store, copy, error));
  if ((from.size >= store.settings.copyByPartsFrom || isShared) && from.size > smallestPart)
    return withTags(store, copy, () => copyLarge(store, copy, isShared || from.size > largestPut ? undefined : whole));
  return replacesMetadata(copy) ? withTags(store, copy, whole) : whole();
}

/** SeaweedFS prefers the version from before there were versions, in buckets that no longer keep any. */
function mayTakeOtherVersion(store: Store, copy: Copy): boolean {
  return copy.from.versionId !== undefined && !store.settings.isAws && !isPinned(copy);
}

/** Copies what was inspected; or if that has been replaced, whatever is there, as the caller has requested no particular version. */
async function copyLatest(store: Store, copy: Copy): Promise<WrittenUnlessChanged> {
  const { from, options } = copy;
  try {
    return await copyInOneRequest(store, copy, from.etag);
  } catch (error) {
    if (hasCode(error, 'not_supported')) return copyInOneRequest(store, copy); // the server has no such condition
    if (!(await isAboutSource(store, copy, error))) throw error;
    if (!(await isUnchanged(store, copy))) return options.ifNoneMatch === undefined ? copyInOneRequest(store, copy) : undefined;
    const isSmall = from.size <= store.memory.partSize;
    return withTags(store, copy, () => (isSmall ? copyThroughClient(store, copy) : copyByParts(store, copy, true)));
  }
}

/** @param whole copies in one request, if that is possible */
async function copyLarge(
  store: Store,
  copy: Copy,
  whole: (() => Promise<WrittenUnlessChanged>) | undefined,
): Promise<WrittenUnlessChanged> {
  try {
    return await copyByParts(store, copy);
  } catch (error) {
    // Google and Storj copy whole objects, but no parts. Nor does Ceph of what is another account's, which only a policy lets it read.
    if (hasCode(error, 'not_supported', 'invalid_argument', 'access_denied'))
      return whole === undefined ? copyByParts(store, copy, true) : whole();
    const isOfOther = mayTakeOtherVersion(store, copy) && (await isAboutSource(store, copy, error)) && (await isUnchanged(store, copy));
    if (!isOfOther) throw error;
    return copyByParts(store, copy, true);
  }
}

/** Ceph does not copy a whole object that it keeps encrypted (seen in version 16), but lets it be read, and its parts be copied. */
async function copyOtherwise(store: Store, copy: Copy, error: unknown): Promise<WrittenUnlessChanged> {
  if (!hasCode(error, 'not_supported')) throw error;
  const isSmall = copy.from.size <= store.memory.partSize;
  return withTags(store, copy, () => (isSmall ? copyThroughClient(store, copy) : copyByParts(store, copy)));
}

/** Whether a copy was refused because of its source, and not because of a condition of the destination. */
async function isAboutSource(store: Store, { destination, options, ctx }: Copy, error: unknown): Promise<boolean> {
  if (!hasCode(error, 'precondition_failed')) return false;
  return options.ifNoneMatch === undefined || isAbsent(store, destination, ctx).catch(() => false);
}

/** Whether writing the destination with PutObject keeps the caller's condition, as far as anybody may find out. @throws precondition_failed */
async function isPutEnforced(store: Store, { options, destination, ctx }: Copy, profile: EndpointProfile): Promise<boolean> {
  if (options.ifNoneMatch === undefined) return true;
  if (!profile.conditionalPut) return false;
  try {
    return !(await keepsUncomparedVersions(store, destination.bucket, profile, ctx));
  } catch (error) {
    if (!hasCode(error, 'access_denied')) throw error;
    await assertAbsent(store, destination, ctx); // the credentials may not ask, and the server may not compare
    return true;
  }
}

async function copySmall(store: Store, copy: Copy): Promise<WrittenUnlessChanged> {
  try {
    return await copyThroughClient(store, copy);
  } catch (error) {
    if (!(await isAlwaysRefused(store, copy, error))) throw error;
    return copyAndVerify(store, copy);
  }
}

/** For servers that ignore which version is requested: that is checked once the copy is made. */
async function copyAndVerify(store: Store, copy: Copy): Promise<Written> {
  const { source, destination, from } = copy;
  const written = await copyInOneRequest(store, copy);
  // Other ETags prove nothing: the server may give copies ETags of their own.
  if (!isVersionRequested(copy) || written.etag === from.etag || (await isUnchanged(store, copy))) return written;
  if (!isSame(source, destination)) await deleteObject(store, destination, noContext); // nobody knows which version it is
  throw sourceChanged();
}

/**
 * Conditions that the caller requested depend on how the server behaves, so that must be known. A condition of our own (see `isPinned`) is no
 * reason to refuse credentials that may not probe.
 */
async function profileFor(store: Store, copy: Inspected): Promise<EndpointProfile | undefined> {
  const { options, destination, ctx } = copy;
  if (isVersionRequested(copy) || options.ifNoneMatch !== undefined) return store.endpoint.profile(destination.bucket, ctx);
  return replacesMetadata(copy) ? store.endpoint.profileIfAllowed(destination.bucket, ctx) : undefined;
}

/** For writes that leave the tags behind; on Ceph also copies that only replace the other properties. */
async function withTags(
  store: Store,
  { source, destination, tagCount, ctx }: Copy,
  write: () => Promise<WrittenUnlessChanged>,
): Promise<WrittenUnlessChanged> {
  if (tagCount === 0) return write();
  const tags = await store.administration.getTags(source, ctx);
  const written = await write();
  if (written === undefined) return undefined;
  await store.administration.putTags(destination, tags, ctx);
  return written;
}

async function copyInOneRequest(
  store: Store,
  copy: Copy,
  ifMatch: string | undefined = isPinned(copy) && copy.profile?.copySourceCondition !== false ? copy.from.etag : undefined,
): Promise<Written> {
  const { source, destination, options, from, headers, carried, profile, ctx } = copy;
  const { contentType, metadata, acl, storageClass } = headers;
  const copyHeaders = {
    ...(acl !== undefined && { acl }),
    ...(storageClass !== undefined && { storageClass }),
    ...(options.ifNoneMatch !== undefined && profile?.conditionalCopy === true && { ifNoneMatch: options.ifNoneMatch }),
    ...(replacesMetadata(copy) && { replaced: { contentType, ...(metadata !== undefined && { metadata }), ...carried } }),
  };
  const request = (): Promise<Written> =>
    store.transport.copy({ ...source, ...(ifMatch !== undefined && { ifMatch }) }, destination, copyHeaders, ctx);
  const copying = from.size <= store.memory.partSize ? request() : inTurn(store, ctx, request);
  return copying.catch((error: unknown) =>
    recoverLostWrite(store, destination, asSourceError(error, source), (now) => isCopyOf(copy, now)),
  );
}

/**
 * An object may be copied over itself only if something about it is replaced. For other copies, MinIO drops `Expires` unless it is
 * replaced, and AWS does so with a redirect.
 */
function replacesMetadata({ source, destination, carried: { expires, websiteRedirect } }: Inspected): boolean {
  return isSame(source, destination) || !Number.isNaN(Date.parse(expires ?? '')) || websiteRedirect !== undefined;
}

/** Whether the copy has to be of the inspected version, because the content type and metadata that are sent belong to it. */
function isPinned(copy: Inspected): boolean {
  return isVersionRequested(copy) || replacesMetadata(copy);
}

/** Whether a particular version was requested: the one that was inspected. */
function isVersionRequested({ options: { ifMatch, onlyIf } }: Inspected): boolean {
  return ifMatch !== undefined || onlyIf !== undefined;
}

/** @throws storage_unavailable for a copy onto itself that nothing tells from its source: encrypted with KMS, each has an ETag of its own */
function isCopyOf({ source, destination, from }: Copy, now: ObjectHeaders): boolean {
  if (now.contentType !== from.contentType || !isDeepStrictEqual(now.metadata, from.metadata)) return false;
  if (now.etag === from.etag) return true;
  if (!isSame(source, destination) || now.contentLength !== from.size) return false;
  throw storageError('storage_unavailable', 'The answer to the copy was lost, and the object does not tell whether the copy was made.');
}

/**
 * Whether the object is unchanged and still may not be replaced under that condition: Ceph refuses every such write where versions are
 * kept.
 */
async function isAlwaysRefused(store: Store, { source, destination, from, ctx }: Copy, error: unknown): Promise<boolean> {
  if (!hasCode(error, 'precondition_failed') || !isSame(source, destination)) return false;
  const now = await store.transport.head(source, ctx).catch(() => undefined);
  return now?.etag === from.etag;
}
