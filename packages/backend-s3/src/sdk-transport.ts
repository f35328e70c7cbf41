import type { Readable } from 'node:stream';

import { GetObjectCommand, HeadObjectCommand, PutObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import type { GetObjectCommandOutput, HeadObjectCommandOutput, PutObjectCommandInput } from '@aws-sdk/client-s3';
import { defaultContentType } from '@coffer/storage-core';

import { call } from './call.ts';
import type { Connection } from './client.ts';
import { headerOf, statusOf } from './errors.ts';
import type { ObjectHeaders, Transport, WriteHeaders } from './transport.ts';

const hashHeader = 'x-amz-content-sha256';

/** The hot calls through the AWS SDK. */
export function sdkTransport({ client, signsPayload }: Connection): Transport {
  /** Over TLS bytes are not hashed; in the clear they are, once. */
  const payloadHash = (sha256: string | undefined): string | undefined => (signsPayload ? sha256 : 'UNSIGNED-PAYLOAD');

  return {
    put(at, payload, headers, ctx) {
      const command = new PutObjectCommand({
        Bucket: at.bucket,
        Key: at.key,
        Body: payload.kind === 'buffer' ? payload.data : payload.stream,
        ContentLength: payload.kind === 'buffer' ? payload.data.byteLength : payload.size,
        ...writeInput(headers),
      });
      withHash(command.middlewareStack, payload.kind === 'buffer' ? payloadHash(payload.sha256) : 'UNSIGNED-PAYLOAD');
      return call({ ...at, permission: 's3:PutObject' }, ctx, async (options) => {
        const { ETag, VersionId } = await client.send(command, options);
        return { etag: bare(ETag), ...versionOf(VersionId) };
      });
    },

    uploadPart({ at, uploadId, number }, data, ctx) {
      const command = new UploadPartCommand({
        Bucket: at.bucket,
        Key: at.key,
        UploadId: uploadId,
        PartNumber: number,
        Body: data,
        ContentLength: data.byteLength,
      });
      withHash(command.middlewareStack as unknown as Stack, payloadHash(undefined));
      return call({ ...at, permission: 's3:PutObject' }, ctx, async (options) => ({
        etag: bare((await client.send(command, options)).ETag),
      }));
    },

    get(at, headers, ctx) {
      const { range, ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince } = headers;
      const command = new GetObjectCommand({
        Bucket: at.bucket,
        Key: at.key,
        ...(range !== undefined && { Range: range }),
        ...(ifMatch !== undefined && { IfMatch: quoted(ifMatch) }),
        ...(ifNoneMatch !== undefined && { IfNoneMatch: quoted(ifNoneMatch) }),
        ...(ifModifiedSince !== undefined && { IfModifiedSince: ifModifiedSince }),
        ...(ifUnmodifiedSince !== undefined && { IfUnmodifiedSince: ifUnmodifiedSince }),
      });
      return call({ ...at, permission: 's3:GetObject' }, ctx, async (options) => {
        try {
          const output = await client.send(command, options);
          return { kind: 'object', headers: headersOf(output), body: output.Body as unknown as Readable };
        } catch (error) {
          if (statusOf(error) !== 304) throw error;
          const etag = headerOf(error, 'etag');
          const lastModified = headerOf(error, 'last-modified');
          return {
            kind: 'not_modified',
            ...(etag !== undefined && { etag: bare(etag) }),
            ...(lastModified !== undefined && { lastModified: new Date(lastModified) }),
          };
        }
      });
    },

    head: (at, ctx) =>
      call({ ...at, permission: 's3:GetObject' }, ctx, async (options) =>
        headersOf(await client.send(new HeadObjectCommand({ Bucket: at.bucket, Key: at.key }), options)),
      ),
  };
}

type Stack = PutObjectCommand['middlewareStack'];

/** What the signature then covers in place of the body; hashing it is left to the SDK without. */
function withHash(stack: Stack, hash: string | undefined): void {
  if (hash === undefined) return;
  stack.add(
    (next) => (args) => {
      (args.request as { readonly headers: Record<string, string> }).headers[hashHeader] = hash;
      return next(args);
    },
    { step: 'build', name: 'payloadHash' },
  );
}

type WriteInput = Pick<PutObjectCommandInput, 'ContentType' | 'Metadata' | 'ACL' | 'StorageClass' | 'IfNoneMatch' | 'IfMatch'>;

export function writeInput({ contentType, metadata, acl, storageClass, ifNoneMatch, ifMatch }: WriteHeaders): WriteInput {
  return {
    ContentType: contentType,
    ...(metadata !== undefined && { Metadata: { ...metadata } }),
    ...(acl !== undefined && acl !== 'private' && { ACL: acl }),
    ...(storageClass !== undefined && { StorageClass: storageClass as NonNullable<PutObjectCommandInput['StorageClass']> }),
    ...(ifNoneMatch !== undefined && { IfNoneMatch: ifNoneMatch }),
    ...(ifMatch !== undefined && { IfMatch: ifMatch }),
  };
}

function headersOf(output: GetObjectCommandOutput | HeadObjectCommandOutput): ObjectHeaders {
  return {
    contentLength: output.ContentLength ?? 0,
    etag: bare(output.ETag),
    contentType: output.ContentType ?? defaultContentType,
    lastModified: output.LastModified ?? new Date(0),
    storageClass: output.StorageClass ?? 'STANDARD',
    metadata: output.Metadata ?? {},
    ...('ContentRange' in output && output.ContentRange !== undefined && { contentRange: output.ContentRange }),
    ...versionOf(output.VersionId),
  };
}

/** What buckets without versions call the only one is no version id. */
export function versionOf(id: string | undefined): { readonly versionId?: string } {
  return id === undefined || id === 'null' || id === '' ? {} : { versionId: id };
}

export function bare(etag: string | undefined): string {
  return (etag ?? '').replace(/^(?:W\/)?"?|"$/g, '');
}

export function quoted(etag: string): string {
  return etag === '*' ? etag : `"${etag}"`;
}
