import { Readable } from 'node:stream';

import { DeleteObjectCommand, DeleteObjectsCommand, GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { GetObjectCommandOutput, HeadObjectCommandOutput, PutObjectCommandOutput, S3Client } from '@aws-sdk/client-s3';
import { defaultContentType } from '@coffer/storage-core';

import { writePermission } from '../acl-header.ts';
import { call } from '../call.ts';
import { notModifiedFrom } from '../conditions.ts';
import { encodingOf } from '../content-encoding.ts';
import { readPermission } from '../errors.ts';
import { etagOf, quoted, unquoted } from '../etag.ts';
import { bodyOf } from '../http/answer-body.ts';
import { isResumable } from '../ranges.ts';
import type { PayloadSigning } from '../signing/payload-signing.ts';
import { unsignedPayload } from '../signing/signature.ts';
import type { CarriedHeaders, ObjectHeaders, Transport } from '../transport.ts';
import { versionOf } from '../version-id.ts';
import { carriedInput, md5For, setHash, withExpires, withHash, writeInput } from './input.ts';

export function sdkObjects(client: S3Client, signing: PayloadSigning): Pick<Transport, 'put' | 'get' | 'head' | 'delete' | 'deleteBatch'> {
  return {
    put(at, payload, headers, ctx) {
      const command = (): PutObjectCommand => {
        const isWhole = payload.kind === 'buffer';
        const made = new PutObjectCommand({
          Bucket: at.bucket,
          Key: at.key,
          Body: isWhole ? payload.data : payload.stream,
          ContentLength: isWhole ? payload.data.byteLength : payload.size,
          ...(isWhole && md5For(signing, at.bucket, payload.data)),
          ...(payload.md5 !== undefined && { ContentMD5: Buffer.from(payload.md5, 'hex').toString('base64') }),
          ...writeInput(headers),
          ...carriedInput(headers),
        });
        withExpires(made.middlewareStack, headers);
        if (isWhole) withHash(made.middlewareStack, signing, payload.sha256);
        else setHash(made.middlewareStack, payload.sha256 ?? unsignedPayload);
        return made;
      };
      return call({ ...at, permission: writePermission(headers) }, ctx, async (options) => {
        const send = (): Promise<PutObjectCommandOutput> => client.send(command(), options);
        const { ETag, VersionId } = await (payload.kind === 'buffer' ? signing.attempt(at.bucket, send) : send());
        return { etag: etagOf(ETag), ...versionOf(VersionId) };
      });
    },

    get(at, headers, ctx) {
      const { range, ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince, versionId } = headers;
      const command = new GetObjectCommand({
        Bucket: at.bucket,
        Key: at.key,
        VersionId: versionId,
        Range: range,
        ...(ifMatch !== undefined && { IfMatch: quoted(ifMatch) }),
        ...(ifNoneMatch !== undefined && { IfNoneMatch: quoted(ifNoneMatch) }),
        IfModifiedSince: ifModifiedSince,
        IfUnmodifiedSince: ifUnmodifiedSince,
      });
      return call({ ...at, permission: readPermission }, ctx, async (options) => {
        try {
          const output = await client.send(command, options);
          return { kind: 'object', headers: headersOf(output), body: bodyOf(output.Body as unknown as Readable) };
        } catch (error) {
          dropBody(error);
          return notModifiedFrom(error);
        }
      });
    },

    head: (at, ctx) =>
      call({ ...at, permission: readPermission }, ctx, async (options) => {
        const output = await client.send(new HeadObjectCommand({ Bucket: at.bucket, Key: at.key }), options);
        return { ...headersOf(output), carried: carriedOf(output), tagCount: output.TagCount ?? 0 };
      }),

    async delete(at, ctx, { versionId, ifMatch } = {}) {
      const command = new DeleteObjectCommand({
        Bucket: at.bucket,
        Key: at.key,
        VersionId: versionId,
        ...(ifMatch !== undefined && { IfMatch: quoted(ifMatch) }),
      });
      await call({ ...at, permission: 's3:DeleteObject' }, ctx, (options) => client.send(command, options));
    },

    async deleteBatch(bucket, objects, ctx) {
      const listed = objects.map(({ key, versionId }) => ({ Key: key, VersionId: versionId }));
      const command = new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: listed, Quiet: true } });
      const { Errors = [] } = await call({ bucket, permission: 's3:DeleteObject' }, ctx, (options) => client.send(command, options));
      return Errors.map(({ Key: key = '', Code: name = '' }) => ({ key, name }));
    },
  };
}

/** If the SDK cannot read the head of an answer, it abandons the body, and with it the socket. */
function dropBody(error: unknown): void {
  const { body } = (error as { readonly $response?: { readonly body?: unknown } }).$response ?? {};
  if (body instanceof Readable) body.on('error', () => {}).destroy();
}

function headersOf(output: GetObjectCommandOutput | HeadObjectCommandOutput): ObjectHeaders {
  const contentRange = 'ContentRange' in output ? output.ContentRange : undefined;
  return {
    contentLength: output.ContentLength,
    etag: unquoted(output.ETag),
    isResumable: isResumable(output.ETag, output.AcceptRanges, contentRange),
    contentType: output.ContentType ?? defaultContentType,
    ...encodingOf(output.ContentEncoding),
    lastModified: output.LastModified ?? new Date(0),
    storageClass: output.StorageClass ?? 'STANDARD',
    metadata: output.Metadata ?? {},
    ...(contentRange !== undefined && { contentRange }),
    ...versionOf(output.VersionId),
  };
}

function carriedOf(output: HeadObjectCommandOutput): CarriedHeaders {
  return {
    cacheControl: output.CacheControl,
    contentDisposition: output.ContentDisposition,
    contentEncoding: output.ContentEncoding,
    contentLanguage: output.ContentLanguage,
    expires: output.ExpiresString,
    websiteRedirect: output.WebsiteRedirectLocation,
  };
}
