import { isDeepStrictEqual } from 'node:util';

import { hasCode, noContext, readAll, storageError } from '@coffer/storage-core';
import type { CallContext, CopyOptions, ObjectAddress, ObjectInfo } from '@coffer/storage-core';

import { withAclNamed } from './acl-support.ts';
import { carriedAcl } from './carried-acl.ts';
import { toStorageError } from './errors.ts';
import { putMatchFor } from './etag.ts';
import { AnswerBody } from './http/answer-body.ts';
import { assertKeyHolds } from './key-support.ts';
import { partSizeFor, smallestPart } from './limits.ts';
import { decodeMetadata } from './metadata.ts';
import { guardBody } from './open-body.ts';
import type { EndpointProfile } from './profile.ts';
import { wrongLength } from './ranges.ts';
import { describedBy, sizeIn, withBucketLooked } from './read.ts';
import { deleteObject } from './remove.ts';
import type { Store } from './store.ts';
import { toldAcl } from './told-acl.ts';
import type { CarriedHeaders, ObjectHeaders, WriteHeaders, Written } from './transport.ts';
import { writeByParts } from './upload/multipart.ts';
import type { Parts } from './upload/multipart.ts';
import { isOf, writtenBefore } from './upload/written-before.ts';
import { ignoresNoneMatch } from './versioning.ts';
import { assertWriteHolds } from './write-support.ts';

interface Copy {
  readonly source: ObjectAddress;
  readonly destination: ObjectAddress;
  readonly options: CopyOptions;
  /** The source when it was inspected. The copy is of this version if the server can guarantee that. */
  readonly from: ObjectInfo;
  readonly carried: CarriedHeaders;
  readonly tagCount: number;
  readonly headers: WriteHeaders;
  readonly ctx: CallContext;
}

const copyPartSize = 256 * 2 ** 20;

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
  await assertKeyHolds(store, source, ctx);
  await assertWriteHolds(store, destination, options, ctx);
  const { ifMatch, ifNoneMatch, onlyIf, acl: askedAcl } = options;
  const keeping = askedAcl === undefined ? carriedAcl(store, source, destination, ctx) : undefined;
  keeping?.catch(() => {}); // errors of the source are reported below
  const head = await withBucketLooked(store, source, ctx, () => store.transport.head(source, ctx));
  const from = describedBy(source, head, sizeIn(head));
  if (ifMatch !== undefined && ifMatch !== from.etag) throw changed();
  const metadata = await decodeMetadata(store, source.bucket, from.metadata, ctx);
  if (onlyIf !== undefined && !onlyIf({ ...from, metadata }))
    throw storageError('precondition_failed', 'The source of the copy does not meet the condition.');
  if (ifNoneMatch !== undefined && isSame(source, destination)) throw taken();

  const kept = await keeping;
  const acl = askedAcl ?? kept?.canned;
  const storageClass = options.storageClass ?? (from.storageClass === 'STANDARD' ? undefined : from.storageClass);
  const headers: WriteHeaders = {
    contentType: from.contentType,
    metadata: from.metadata,
    ...toldAcl(acl),
    ...(storageClass !== undefined && { storageClass }),
  };
  const copy: Copy = { source, destination, options, from, carried: head.carried, tagCount: head.tagCount, headers, ctx };
  const written = await perform(store, copy).catch((error: unknown) => {
    throw withAclNamed(error, askedAcl);
  });
  if (kept?.acl !== undefined) await store.administration.putObjectAcl(destination, kept.acl, ctx); // grants that no canned ACL matches
  const { versionId: _versionId, ...described } = { ...from, metadata };
  return { ...described, ...destination, storageClass: storageClass ?? 'STANDARD', lastModified: new Date(), ...written };
}

async function perform(store: Store, copy: Copy): Promise<Written> {
  const { options, from, destination, ctx } = copy;
  const { ifNoneMatch } = options;
  const profile = await profileFor(store, copy);
  const unenforced =
    profile !== undefined && ((ifNoneMatch !== undefined && !profile.conditionalCopy) || (isTied(copy) && !profile.copySourceCondition));
  if (unenforced && from.size <= store.memory.partSize) {
    const { bucket } = destination;
    const isPutEnforced = ifNoneMatch === undefined || (profile.conditionalPut && !(await ignoresNoneMatch(store, bucket, profile, ctx)));
    if (isPutEnforced) {
      return withTags(store, copy, () =>
        throughHere(store, copy, profile).catch(async (error: unknown) => {
          if (!(await isRefusedAnyway(store, copy, error))) throw error;
          return inOneRequestLooked(store, copy, profile);
        }),
      );
    }
  }
  if (unenforced && ifNoneMatch !== undefined) await assertNothingAt(store, destination, ctx);
  if (from.size >= store.settings.copyByPartsFrom && from.size > smallestPart)
    return withTags(store, copy, () => byParts(store, copy, profile));
  const write = (): Promise<Written> => (unenforced ? inOneRequestLooked : inOneRequest)(store, copy, profile);
  return isReplaced(copy) ? withTags(store, copy, write) : write();
}

/** For servers that ignore which version is requested: that is checked once the copy is made. */
async function inOneRequestLooked(store: Store, copy: Copy, profile: EndpointProfile | undefined): Promise<Written> {
  const written = await inOneRequest(store, copy, profile);
  if (isOfOneVersion(copy) && written.etag !== copy.from.etag) await assertUnchanged(store, copy);
  return written;
}

/**
 * Conditions that the caller requested depend on how the server behaves, so that must be known. A condition of our own (see `isTied`) is no
 * reason to refuse credentials that may not probe.
 */
async function profileFor(store: Store, copy: Copy): Promise<EndpointProfile | undefined> {
  const { options, destination, ctx } = copy;
  if (isOfOneVersion(copy) || options.ifNoneMatch !== undefined) return store.endpoint.profile(destination.bucket, ctx);
  return isReplaced(copy) ? store.endpoint.profileIfAllowed(destination.bucket, ctx) : undefined;
}

/** For writes that leave the tags behind; on Ceph also copies that only replace the other properties. */
async function withTags(store: Store, { source, destination, tagCount, ctx }: Copy, write: () => Promise<Written>): Promise<Written> {
  if (tagCount === 0) return write();
  const tags = await store.administration.getTags(source, ctx);
  const written = await write();
  await store.administration.putTags(destination, tags, ctx);
  return written;
}

async function inOneRequest(store: Store, copy: Copy, profile: EndpointProfile | undefined): Promise<Written> {
  const { source, destination, options, from, headers, carried, ctx } = copy;
  const { contentType, metadata, acl, storageClass } = headers;
  const told = {
    ...(acl !== undefined && { acl }),
    ...(storageClass !== undefined && { storageClass }),
    ...(options.ifNoneMatch !== undefined && profile?.conditionalCopy === true && { ifNoneMatch: options.ifNoneMatch }),
    ...(isReplaced(copy) && { replaced: { contentType, ...(metadata !== undefined && { metadata }), ...carried } }),
  };
  return store.transport
    .copy({ ...source, ...(isTied(copy) && { ifMatch: from.etag }) }, destination, told, ctx)
    .catch((error: unknown) => writtenBefore(store, destination, ofSource(error, source), (now) => isCopyOf(from, now)));
}

/**
 * An object may be copied over itself only if something about it is replaced. For other copies, MinIO drops `Expires` unless it is
 * replaced.
 */
function isReplaced({ source, destination, carried }: Copy): boolean {
  return isSame(source, destination) || !Number.isNaN(Date.parse(carried.expires ?? ''));
}

/** Whether the copy has to be of the inspected version, because the content type and metadata that are sent belong to it. */
function isTied(copy: Copy): boolean {
  return isOfOneVersion(copy) || isReplaced(copy);
}

/** Whether a particular version was requested: the one that was inspected. */
function isOfOneVersion({ options: { ifMatch, onlyIf } }: Copy): boolean {
  return ifMatch !== undefined || onlyIf !== undefined;
}

/** The request goes to the destination, where neither of these errors can arise. */
function ofSource(error: unknown, { bucket, key }: ObjectAddress): unknown {
  if (!hasCode(error, 'file_not_found', 'object_archived')) return error;
  return toStorageError(error.cause, { bucket, key, permission: 's3:GetObject' });
}

function isCopyOf({ etag, contentType, metadata }: ObjectInfo, now: ObjectHeaders): boolean {
  return now.etag === etag && now.contentType === contentType && isDeepStrictEqual(now.metadata, metadata);
}

/** Reading with If-Match and writing with If-None-Match work on servers that ignore the conditions of a copy. */
async function throughHere(store: Store, copy: Copy, profile: EndpointProfile): Promise<Written> {
  const { source, destination, options, from, headers, carried, ctx } = copy;
  const held = await store.memory.take(from.size, ctx);
  try {
    const opened = await store.transport.get(source, { ifMatch: from.etag }, ctx);
    if (opened.kind === 'not_modified') throw changed();
    if (opened.headers.etag !== '' && opened.headers.etag !== from.etag) {
      opened.body.destroy();
      throw changed();
    }
    if (opened.body instanceof AnswerBody) guardBody(opened.body, { signal: ctx.signal, idleSeconds: store.settings.timeout, closed() {} });
    const data = await readAll(opened.body);
    if (data.length !== from.size) throw wrongLength(data.length, from.size);
    const ifMatch = isSame(source, destination) ? putMatchFor(profile, from.etag) : undefined;
    const condition = {
      ...(options.ifNoneMatch !== undefined && { ifNoneMatch: options.ifNoneMatch }),
      // An object written meanwhile is newer than what was read.
      ...(ifMatch !== undefined && { ifMatch }),
    };
    return await store.transport
      .put(destination, { kind: 'buffer', data }, { ...headers, ...carried, ...condition }, ctx)
      .catch((error: unknown) => writtenBefore(store, destination, error, (now) => isOf(now, data, headers)));
  } finally {
    held.release(false);
  }
}

/**
 * Whether the object is unchanged and still may not be replaced under that condition: Ceph refuses every such write where versions are
 * kept.
 */
async function isRefusedAnyway(store: Store, { source, destination, from, ctx }: Copy, error: unknown): Promise<boolean> {
  if (!hasCode(error, 'precondition_failed') || !isSame(source, destination)) return false;
  const now = await store.transport.head(source, ctx).catch(() => undefined);
  return now?.etag === from.etag;
}

/** For objects that a single request may not copy, or would take too long to copy. */
async function byParts(store: Store, copy: Copy, profile: EndpointProfile | undefined): Promise<Written> {
  const { source, destination, options, from, headers, carried, ctx } = copy;
  const size = partSizeFor(from.size, Math.min(copyPartSize, Math.max(smallestPart, store.settings.copyByPartsFrom)));
  let start = 0;
  const parts: Parts = {
    async next() {
      if (start >= from.size) return undefined;
      const range = `bytes=${start}-${Math.min((start += size), from.size) - 1}`;
      const part = { ...source, ifMatch: from.etag, range };
      return {
        send: (upload, sending) =>
          store.transport.copyPart(part, upload, sending).catch((error: unknown) => {
            throw ofSource(error, source);
          }),
        done: () => {},
      };
    },
    fail: () => {},
    async verify() {
      await assertUnchanged(store, copy, false);
      if (options.ifNoneMatch !== undefined) await assertNothingAt(store, destination, ctx);
    },
  };
  const condition = options.ifNoneMatch !== undefined && profile?.conditionalComplete === true ? { ifNoneMatch: options.ifNoneMatch } : {};
  return writeByParts(store, destination, { headers: { ...headers, ...condition }, parts, carried }, ctx);
}

/** @param written whether the copy already exists at its destination; then nobody knows which version it is, and it is deleted */
async function assertUnchanged(store: Store, { source, destination, from, ctx }: Copy, written = true): Promise<void> {
  const now = await store.transport.head(source, ctx).catch((error: unknown) => {
    if (hasCode(error, 'file_not_found')) return undefined;
    throw error;
  });
  if (now?.etag === from.etag) return; // the server gives copies ETags of their own
  if (written && !isSame(source, destination)) await deleteObject(store, destination, noContext);
  throw changed();
}

async function assertNothingAt(store: Store, at: ObjectAddress, ctx: CallContext): Promise<void> {
  try {
    await store.transport.head(at, ctx);
  } catch (error) {
    if (hasCode(error, 'file_not_found')) return;
    throw error;
  }
  throw taken();
}

function isSame(a: ObjectAddress, b: ObjectAddress): boolean {
  return a.bucket === b.bucket && a.key === b.key;
}

function changed(): Error {
  return storageError('precondition_failed', 'The source of the copy has a different ETag.');
}

function taken(): Error {
  return storageError('precondition_failed', 'An object with this key already exists.');
}
