import { isDeepStrictEqual } from 'node:util';

import { hasCode, noContext, readAll, storageError } from '@coffer/storage-core';
import type { CallContext, CopyOptions, ObjectAddress, ObjectInfo } from '@coffer/storage-core';

import { aclHeader } from './acl-header.ts';
import { translateAclError } from './acl-support.ts';
import { carriedAcl } from './carried-acl.ts';
import { toStorageError } from './errors.ts';
import { putMatchFor } from './etag.ts';
import { AnswerBody } from './http/answer-body.ts';
import { assertKeySupported } from './key-support.ts';
import { partSizeFor, smallestPart } from './limits.ts';
import { lookAtCopy } from './look-at-copy.ts';
import { decodeMetadata } from './metadata.ts';
import { guardBody } from './open-body.ts';
import type { EndpointProfile } from './profile.ts';
import { wrongLength } from './ranges.ts';
import { requireSize, toObjectInfo, withBucketCheck } from './read.ts';
import { deleteObject } from './remove.ts';
import type { Store } from './store.ts';
import type { CarriedHeaders, ObjectHeaders, WriteHeaders, Written } from './transport.ts';
import { writeByParts } from './upload/multipart.ts';
import type { Parts } from './upload/multipart.ts';
import { matchesWrite, recoverLostWrite } from './upload/recover-lost-write.ts';
import { keepsUncomparedVersions, mayShareBytes } from './versioning.ts';
import { assertWriteSupported } from './write-support.ts';

interface Copy {
  readonly source: ObjectAddress;
  readonly destination: ObjectAddress;
  readonly options: CopyOptions;
  /** The source when it was inspected. The copy is of this version if the server can guarantee that. */
  readonly from: ObjectInfo;
  readonly carried: CarriedHeaders;
  readonly tagCount: number;
  /** Whether the server may let the copy share the bytes of its source. */
  readonly sharing: () => Promise<boolean>;
  readonly headers: WriteHeaders;
  readonly ctx: CallContext;
}

/** Undefined if nothing was written, because the source is no longer the version that was inspected. */
type WrittenUnlessChanged = Written | undefined;

const copyPartSize = 256 * 2 ** 20;
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
): Promise<ObjectInfo> {
  await assertKeySupported(store, source, ctx);
  await assertWriteSupported(store, destination, options, ctx);
  for (let looks = 1; ; looks++) {
    const copied = await inspectAndCopy(store, { source, destination }, options, ctx);
    if (copied !== undefined) return copied;
    // Who requested no particular version gets the newer one.
    if (options.ifMatch !== undefined || looks === mostLooks) throw sourceChanged();
  }
}

/** @returns undefined as `WrittenUnlessChanged` */
async function inspectAndCopy(
  store: Store,
  { source, destination }: { readonly source: ObjectAddress; readonly destination: ObjectAddress },
  options: CopyOptions,
  ctx: CallContext,
): Promise<ObjectInfo | undefined> {
  const { ifMatch, ifNoneMatch, onlyIf, acl: requestedAcl } = options;
  const loadingAcl = requestedAcl === undefined ? carriedAcl(store, source, destination, ctx) : undefined;
  loadingAcl?.catch(() => {}); // errors of the source are reported below
  let asked: Promise<boolean> | undefined;
  const sharing = (): Promise<boolean> => (asked ??= mayShareBytes(store, source.bucket, ctx));
  // Copies under a condition seldom depend on it; for the others it is known once the source has been inspected.
  if (ifMatch === undefined && onlyIf === undefined && !isSame(source, destination)) sharing().catch(() => {});
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
  const copy: Copy = { source, destination, options, from, carried: head.carried, tagCount: head.tagCount, sharing, headers, ctx };
  const written = await perform(store, copy).catch((error: unknown) => {
    throw translateAclError(error, requestedAcl);
  });
  if (written === undefined) return undefined;
  if (sourceAcl?.acl !== undefined) await store.administration.putObjectAcl(destination, sourceAcl.acl, ctx); // grants that no canned ACL matches
  const { versionId: _versionId, ...described } = (isPinned(copy) ? undefined : await lookAtCopy(store, copy, written)) ?? {
    ...from,
    metadata,
  };
  return { ...described, ...destination, storageClass: storageClass ?? 'STANDARD', lastModified: new Date(), ...written };
}

async function perform(store: Store, copy: Copy): Promise<WrittenUnlessChanged> {
  const { options, from, source, destination, ctx } = copy;
  const { ifNoneMatch } = options;
  const profile = await profileFor(store, copy);
  const unenforced =
    profile !== undefined && ((ifNoneMatch !== undefined && !profile.conditionalCopy) || (isPinned(copy) && !profile.copySourceCondition));
  const isSmall = from.size <= store.memory.partSize;
  if (unenforced && isSmall && (await isPutEnforced(store, copy, profile)))
    return withTags(store, copy, () => copySmall(store, copy, profile));
  if (unenforced && ifNoneMatch !== undefined) await assertAbsent(store, destination, ctx);
  const isShared = from.versionId === undefined && !isSame(source, destination) && (await copy.sharing());
  if (isShared && isSmall) return withTags(store, copy, () => copyThroughClient(store, copy, profile));
  if ((from.size >= store.settings.copyByPartsFrom || isShared) && from.size > smallestPart)
    return withTags(store, copy, () => copyByParts(store, copy, profile));
  const write = (): Promise<Written> => (unenforced ? copyAndVerify : copyInOneRequest)(store, copy, profile);
  if (replacesMetadata(copy)) return withTags(store, copy, write);
  return mayTakeOtherVersion(store, copy) ? copyLatest(store, copy, profile) : write();
}

/** SeaweedFS prefers the version from before there were versions, in buckets that no longer keep any. */
function mayTakeOtherVersion(store: Store, copy: Copy): boolean {
  return copy.from.versionId !== undefined && !store.settings.isAws && !isPinned(copy) && copy.options.ifNoneMatch === undefined;
}

/** Copies what was inspected; or if that has been replaced, whatever is there, as the caller has set no condition. */
async function copyLatest(store: Store, copy: Copy, profile: EndpointProfile | undefined): Promise<WrittenUnlessChanged> {
  try {
    return await copyInOneRequest(store, copy, profile, copy.from.etag);
  } catch (error) {
    if (!hasCode(error, 'precondition_failed')) throw error;
    if (!(await isUnchanged(store, copy))) return copyInOneRequest(store, copy, profile);
    const isSmall = copy.from.size <= store.memory.partSize;
    return withTags(store, copy, () => (isSmall ? copyThroughClient(store, copy, profile) : copyByParts(store, copy, profile, true)));
  }
}

/** Whether writing the destination with PutObject keeps the caller's condition. */
async function isPutEnforced(store: Store, { options, destination, ctx }: Copy, profile: EndpointProfile): Promise<boolean> {
  if (options.ifNoneMatch === undefined) return true;
  return profile.conditionalPut && !(await keepsUncomparedVersions(store, destination.bucket, profile, ctx));
}

async function copySmall(store: Store, copy: Copy, profile: EndpointProfile): Promise<WrittenUnlessChanged> {
  try {
    return await copyThroughClient(store, copy, profile);
  } catch (error) {
    if (!(await isAlwaysRefused(store, copy, error))) throw error;
    return copyAndVerify(store, copy, profile);
  }
}

/** For servers that ignore which version is requested: that is checked once the copy is made. */
async function copyAndVerify(store: Store, copy: Copy, profile: EndpointProfile | undefined): Promise<Written> {
  const { source, destination, from } = copy;
  const written = await copyInOneRequest(store, copy, profile);
  // Other ETags prove nothing: the server may give copies ETags of their own.
  if (!isVersionRequested(copy) || written.etag === from.etag || (await isUnchanged(store, copy))) return written;
  if (!isSame(source, destination)) await deleteObject(store, destination, noContext); // nobody knows which version it is
  throw sourceChanged();
}

/**
 * Conditions that the caller requested depend on how the server behaves, so that must be known. A condition of our own (see `isPinned`) is no
 * reason to refuse credentials that may not probe.
 */
async function profileFor(store: Store, copy: Copy): Promise<EndpointProfile | undefined> {
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
  profile: EndpointProfile | undefined,
  ifMatch: string | undefined = isPinned(copy) ? copy.from.etag : undefined,
): Promise<Written> {
  const { source, destination, options, from, headers, carried, ctx } = copy;
  const { contentType, metadata, acl, storageClass } = headers;
  const copyHeaders = {
    ...(acl !== undefined && { acl }),
    ...(storageClass !== undefined && { storageClass }),
    ...(options.ifNoneMatch !== undefined && profile?.conditionalCopy === true && { ifNoneMatch: options.ifNoneMatch }),
    ...(replacesMetadata(copy) && { replaced: { contentType, ...(metadata !== undefined && { metadata }), ...carried } }),
  };
  return store.transport
    .copy({ ...source, ...(ifMatch !== undefined && { ifMatch }) }, destination, copyHeaders, ctx)
    .catch((error: unknown) => recoverLostWrite(store, destination, asSourceError(error, source), (now) => isCopyOf(from, now)));
}

/**
 * An object may be copied over itself only if something about it is replaced. For other copies, MinIO drops `Expires` unless it is
 * replaced.
 */
function replacesMetadata({ source, destination, carried }: Copy): boolean {
  return isSame(source, destination) || !Number.isNaN(Date.parse(carried.expires ?? ''));
}

/** Whether the copy has to be of the inspected version, because the content type and metadata that are sent belong to it. */
function isPinned(copy: Copy): boolean {
  return isVersionRequested(copy) || replacesMetadata(copy);
}

/** Whether a particular version was requested: the one that was inspected. */
function isVersionRequested({ options: { ifMatch, onlyIf } }: Copy): boolean {
  return ifMatch !== undefined || onlyIf !== undefined;
}

/** The request goes to the destination, where neither of these errors can arise. */
function asSourceError(error: unknown, { bucket, key }: ObjectAddress): unknown {
  if (!hasCode(error, 'file_not_found', 'object_archived')) return error;
  return toStorageError(error.cause, { bucket, key, permission: 's3:GetObject' });
}

function isCopyOf({ etag, contentType, metadata }: ObjectInfo, now: ObjectHeaders): boolean {
  return now.etag === etag && now.contentType === contentType && isDeepStrictEqual(now.metadata, metadata);
}

/** Reading with If-Match and writing with If-None-Match work on servers that ignore the conditions of a copy. */
async function copyThroughClient(store: Store, copy: Copy, profile: EndpointProfile | undefined): Promise<WrittenUnlessChanged> {
  const { source, destination, options, from, headers, carried, ctx } = copy;
  const held = await store.memory.take(from.size, ctx);
  try {
    const data = await readSource(store, copy, { size: from.size }, ctx);
    if (data === undefined) return undefined;
    const ifMatch = profile !== undefined && isSame(source, destination) ? putMatchFor(profile, from.etag) : undefined;
    const condition = {
      ...(options.ifNoneMatch !== undefined && { ifNoneMatch: options.ifNoneMatch }),
      // An object written meanwhile is newer than what was read.
      ...(ifMatch !== undefined && { ifMatch }),
    };
    return await store.transport
      .put(destination, { kind: 'buffer', data }, { ...headers, ...carried, ...condition }, ctx)
      .catch((error: unknown) => recoverLostWrite(store, destination, error, (now) => matchesWrite(now, data, headers)));
  } finally {
    held.release(false);
  }
}

/** Reads the source, or `size` bytes of it. Undefined if it is no longer the version that was inspected. */
async function readSource(
  store: Store,
  { source, from }: Copy,
  { size, range }: { readonly size: number; readonly range?: string },
  ctx: CallContext,
): Promise<Buffer | undefined> {
  const read = { ifMatch: from.etag, ...(range !== undefined && { range }) };
  const opened = await store.transport.get(source, read, ctx).catch((error: unknown) => {
    if (hasCode(error, 'precondition_failed')) return undefined;
    throw error;
  });
  if (opened === undefined || opened.kind === 'not_modified') return undefined;
  if (opened.headers.etag !== '' && opened.headers.etag !== from.etag) {
    opened.body.destroy();
    return undefined;
  }
  if (opened.body instanceof AnswerBody) guardBody(opened.body, { signal: ctx.signal, idleSeconds: store.settings.timeout, onClose() {} });
  const data = await readAll(opened.body);
  if (data.length !== size) throw wrongLength(data.length, size);
  return data;
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

/**
 * Whether the server may take a part from another object: for parts, not for whole objects, Ceph decodes the key twice, so that it reads
 * `a+b` instead of `a%2Bb`, and another version of `a` instead of `a?versionId=1`.
 */
function mayMisreadKey(store: Store, { key }: ObjectAddress): boolean {
  return !store.settings.isAws && /[%?]/.test(key);
}

/** For objects that a single request may not copy, or would take too long to copy. */
async function copyByParts(
  store: Store,
  copy: Copy,
  profile: EndpointProfile | undefined,
  throughClient = mayMisreadKey(store, copy.source),
): Promise<Written> {
  const { source, destination, options, from, headers, carried, ctx } = copy;
  const usual = throughClient ? store.memory.partSize : Math.min(copyPartSize, Math.max(smallestPart, store.settings.copyByPartsFrom));
  const size = partSizeFor(from.size, usual);
  let start = 0;
  const parts: Parts = {
    async next() {
      if (start >= from.size) return undefined;
      const first = start;
      const end = Math.min((start += size), from.size);
      const range = `bytes=${first}-${end - 1}`;
      if (throughClient)
        return { send: (upload, sending) => sendPart(store, copy, { range, size: end - first }, upload, sending), done: () => {} };
      const part = { ...source, ifMatch: from.etag, range };
      return {
        send: (upload, sending) =>
          store.transport.copyPart(part, upload, sending).catch((error: unknown) => {
            throw asSourceError(error, source);
          }),
        done: () => {},
      };
    },
    fail: () => {},
    async verify() {
      if (!(await isUnchanged(store, copy))) throw sourceChanged();
      if (options.ifNoneMatch !== undefined) await assertAbsent(store, destination, ctx);
    },
  };
  const condition = options.ifNoneMatch !== undefined && profile?.conditionalComplete === true ? { ifNoneMatch: options.ifNoneMatch } : {};
  return writeByParts(store, destination, { headers: { ...headers, ...condition }, parts, carried }, ctx);
}

async function sendPart(
  store: Store,
  copy: Copy,
  read: { readonly range: string; readonly size: number },
  upload: Parameters<Store['transport']['uploadPart']>[0],
  ctx: CallContext,
): ReturnType<Store['transport']['uploadPart']> {
  const held = await store.memory.take(read.size, ctx);
  try {
    const data = await readSource(store, copy, read, ctx);
    if (data === undefined) throw sourceChanged();
    return await store.transport.uploadPart(upload, data, ctx);
  } finally {
    held.release(false);
  }
}

/** Whether the source is still the version that was inspected. */
async function isUnchanged(store: Store, { source, from, ctx }: Copy): Promise<boolean> {
  const now = await store.transport.head(source, ctx).catch((error: unknown) => {
    if (hasCode(error, 'file_not_found')) return undefined;
    throw error;
  });
  return now?.etag === from.etag;
}

async function assertAbsent(store: Store, at: ObjectAddress, ctx: CallContext): Promise<void> {
  try {
    await store.transport.head(at, ctx);
  } catch (error) {
    if (hasCode(error, 'file_not_found')) return;
    throw error;
  }
  throw keyTaken();
}

function isSame(a: ObjectAddress, b: ObjectAddress): boolean {
  return a.bucket === b.bucket && a.key === b.key;
}

function sourceChanged(): Error {
  return storageError('precondition_failed', 'The source of the copy has a different ETag.');
}

function keyTaken(): Error {
  return storageError('precondition_failed', 'An object with this key already exists.');
}
