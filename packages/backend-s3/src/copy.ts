import { CopyObjectCommand, HeadObjectCommand, UploadPartCopyCommand } from '@aws-sdk/client-s3';
import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import { encodeKey, hasCode, noContext, readAll, storageError } from '@coffer/storage-core';
import type { Acl, CallContext, CannedAcl, CopyOptions, ObjectAddress, ObjectInfo } from '@coffer/storage-core';

import { getObjectAcl, setGrants } from './acl.ts';
import { call } from './call.ts';
import { bare, quoted } from './etag.ts';
import { cannedOf } from './grants.ts';
import { decodeMetadata } from './metadata.ts';
import { writeByParts } from './multipart.ts';
import type { Parts } from './multipart.ts';
import type { EndpointProfile } from './profile.ts';
import { withBucketLooked } from './read.ts';
import { deleteObject } from './remove.ts';
import { carriedInput, writeInput } from './sdk-input.ts';
import { assertAclHolds, assertKeyHolds } from './store.ts';
import type { Store } from './store.ts';
import type { CarriedHeaders, SentPart, Upload, WriteHeaders, Written } from './transport.ts';
import { versionOf } from './version-id.ts';

interface Copy {
  readonly source: ObjectAddress;
  readonly destination: ObjectAddress;
  readonly options: CopyOptions;
  /** What the source was when it was looked at; the copy is of this version where the server can promise it. */
  readonly from: ObjectInfo;
  readonly carried: CarriedHeaders;
  readonly headers: WriteHeaders;
  readonly ctx: CallContext;
}

const copyPartSize = 256 * 2 ** 20;

/**
 * Server-side, with type, metadata and ACL. A condition that the server ignores is made up for: small objects pass through
 * this process, read and written under conditions that hold; of large ones the versions are compared before and after.
 */
export async function copyObject(
  store: Store,
  { source, destination }: { readonly source: ObjectAddress; readonly destination: ObjectAddress },
  options: CopyOptions,
  ctx: CallContext,
): Promise<ObjectInfo> {
  await assertKeyHolds(store, source, ctx);
  await assertKeyHolds(store, destination, ctx);
  await assertAclHolds(store, destination.bucket, options.acl);
  const output = await withBucketLooked(store, source, ctx, () => headRaw(store, source, ctx));
  const from = describedBy(source, output);
  const { ifMatch, ifNoneMatch, acl: askedAcl } = options;
  if (ifMatch !== undefined && ifMatch !== '*' && ifMatch !== from.etag) throw changed();
  if (ifNoneMatch !== undefined && isSame(source, destination)) throw taken();

  const kept = askedAcl === undefined ? await carriedAcl(store, source, ctx) : undefined;
  const acl = askedAcl ?? kept?.canned;
  const storageClass = options.storageClass ?? (from.storageClass === 'STANDARD' ? undefined : from.storageClass);
  const headers: WriteHeaders = {
    contentType: from.contentType,
    metadata: from.metadata,
    ...(acl !== undefined && { acl }),
    ...(storageClass !== undefined && { storageClass }),
  };
  const copy: Copy = { source, destination, options, from, carried: carriedHeaders(output), headers, ctx };
  const written = await perform(store, copy);
  if (kept?.acl !== undefined) await setGrants(store, destination, kept.acl, ctx);
  const { versionId: _versionId, ...described } = { ...from, metadata: await decodeMetadata(store, source.bucket, from.metadata) };
  return { ...described, ...destination, storageClass: storageClass ?? 'STANDARD', lastModified: new Date(), ...written };
}

async function perform(store: Store, copy: Copy): Promise<Written> {
  const { options, from, destination, ctx } = copy;
  const { ifMatch, ifNoneMatch } = options;
  const profile = ifMatch === undefined && ifNoneMatch === undefined ? undefined : await store.profile(destination.bucket);
  const unenforced =
    profile !== undefined &&
    ((ifNoneMatch !== undefined && !profile.conditionalCopy) || (ifMatch !== undefined && !profile.copySourceCondition));
  if (unenforced && from.size <= store.memory.partSize && (ifNoneMatch === undefined || profile.conditionalPut))
    return throughHere(store, copy);
  if (unenforced && ifNoneMatch !== undefined) await assertNothingAt(store, destination, ctx);
  if (from.size >= store.settings.copyByPartsFrom && from.size > 5 * 2 ** 20) return byParts(store, copy, profile);
  const written = await inOneRequest(store, copy, profile);
  if (unenforced && ifMatch !== undefined && written.etag !== from.etag) await assertUnchanged(store, copy);
  return written;
}

async function inOneRequest(store: Store, copy: Copy, profile: EndpointProfile | undefined): Promise<Written> {
  const { source, destination, options, from, headers, carried, ctx } = copy;
  // An object may be copied over itself only if something about it is replaced.
  const replaced = isSame(source, destination)
    ? { MetadataDirective: 'REPLACE' as const, ...carriedInput(carried), ...writeInput(headers) }
    : {};
  const { ContentType: _type, Metadata: _metadata, ...written } = writeInput(headers);
  const command = new CopyObjectCommand({
    Bucket: destination.bucket,
    Key: destination.key,
    CopySource: copySource(source),
    ...written,
    ...replaced,
    ...((options.ifMatch !== undefined || isSame(source, destination)) && { CopySourceIfMatch: quoted(from.etag) }),
    ...(options.ifNoneMatch !== undefined && profile?.conditionalCopy === true && { IfNoneMatch: options.ifNoneMatch }),
  });
  return call({ ...destination, permission: 's3:PutObject' }, ctx, async (sending) => {
    const { CopyObjectResult, VersionId } = await (await store.sdk()).client.send(command, sending);
    return { etag: bare(CopyObjectResult?.ETag), ...versionOf(VersionId) };
  });
}

/** Reading on an ETag and writing where there is nothing hold on servers where conditions of a copy do not. */
async function throughHere(store: Store, copy: Copy): Promise<Written> {
  const { source, destination, options, from, headers, ctx } = copy;
  const held = await store.memory.take(from.size, ctx.signal);
  try {
    const opened = await store.transport.get(source, { ifMatch: from.etag }, ctx);
    if (opened.kind === 'not_modified') throw changed();
    const data = await readAll(opened.body);
    const condition = options.ifNoneMatch === undefined ? {} : { ifNoneMatch: options.ifNoneMatch };
    return await store.transport.put(destination, { kind: 'buffer', data }, { ...headers, ...condition }, ctx);
  } finally {
    held.release(false);
  }
}

/** For what no single request may copy, or would take too long in one. */
async function byParts(store: Store, copy: Copy, profile: EndpointProfile | undefined): Promise<Written> {
  const { source, destination, options, from, headers, carried, ctx } = copy;
  const size = Math.min(copyPartSize, Math.max(5 * 2 ** 20, store.settings.copyByPartsFrom));
  let start = 0;
  const parts: Parts = {
    async next() {
      if (start >= from.size) return undefined;
      const range = `bytes=${start}-${Math.min((start += size), from.size) - 1}`;
      return { send: (upload, sending) => copyPart(store, { source, etag: from.etag, range }, upload, sending), done: () => {} };
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

async function copyPart(
  store: Store,
  { source, etag, range }: { readonly source: ObjectAddress; readonly etag: string; readonly range: string },
  { at, uploadId, number }: Upload & { readonly number: number },
  ctx: CallContext,
): Promise<Omit<SentPart, 'number'>> {
  const command = new UploadPartCopyCommand({
    Bucket: at.bucket,
    Key: at.key,
    UploadId: uploadId,
    PartNumber: number,
    CopySource: copySource(source),
    CopySourceRange: range,
    CopySourceIfMatch: quoted(etag),
  });
  return call({ ...at, permission: 's3:PutObject' }, ctx, async (sending) => {
    const { CopyPartResult } = await (await store.sdk()).client.send(command, sending);
    const crc32 = CopyPartResult?.ChecksumCRC32;
    return { etag: bare(CopyPartResult?.ETag), ...(crc32 !== undefined && { crc32 }) };
  });
}

/** @param written whether the copy is at its destination already, which then holds nobody knows which version */
async function assertUnchanged(store: Store, { source, destination, from, ctx }: Copy, written = true): Promise<void> {
  const now = await store.transport.head(source, ctx).catch((error: unknown) => {
    if (hasCode(error, 'file_not_found')) return undefined;
    throw error;
  });
  if (now?.etag === from.etag) return; // the server gives copies ETags of their own
  if (written) await deleteObject(store, destination, noContext);
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

/** What a copy would lose: its canned name, or the grants where it has none. */
async function carriedAcl(
  store: Store,
  at: ObjectAddress,
  ctx: CallContext,
): Promise<{ readonly canned?: CannedAcl; readonly acl?: Acl } | undefined> {
  if (!(await store.profile(at.bucket)).acl) return undefined;
  const acl = await getObjectAcl(store, at, ctx);
  const canned = cannedOf(acl);
  return canned === undefined ? { acl } : { canned };
}

function headRaw(store: Store, at: ObjectAddress, ctx: CallContext): Promise<HeadObjectCommandOutput> {
  const command = new HeadObjectCommand({ Bucket: at.bucket, Key: at.key });
  return call({ ...at, permission: 's3:GetObject' }, ctx, async (options) => (await store.sdk()).client.send(command, options));
}

function describedBy(at: ObjectAddress, output: HeadObjectCommandOutput): ObjectInfo {
  return {
    bucket: at.bucket,
    key: at.key,
    size: output.ContentLength ?? 0,
    etag: bare(output.ETag),
    contentType: output.ContentType ?? 'application/octet-stream',
    lastModified: output.LastModified ?? new Date(0),
    storageClass: output.StorageClass ?? 'STANDARD',
    metadata: output.Metadata ?? {},
  };
}

function carriedHeaders(output: HeadObjectCommandOutput): CarriedHeaders {
  const { CacheControl: cacheControl, ContentDisposition: contentDisposition } = output;
  const { ContentEncoding: contentEncoding, ContentLanguage: contentLanguage } = output;
  return {
    ...(cacheControl !== undefined && { cacheControl }),
    ...(contentDisposition !== undefined && { contentDisposition }),
    ...(contentEncoding !== undefined && { contentEncoding }),
    ...(contentLanguage !== undefined && { contentLanguage }),
  };
}

function copySource({ bucket, key }: ObjectAddress): string {
  return `${bucket}/${encodeKey(key)}`;
}

function isSame(a: ObjectAddress, b: ObjectAddress): boolean {
  return a.bucket === b.bucket && a.key === b.key;
}

function changed(): Error {
  return storageError('precondition_failed', 'The source has another ETag.');
}

function taken(): Error {
  return storageError('precondition_failed', 'There is an object of this key already.');
}
