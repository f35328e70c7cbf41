import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';

import { writePermission } from '../acl-header.ts';
import { call } from '../call.ts';
import { uploadIdOf } from '../documents/object.ts';
import { etagOf, quoted, unquoted } from '../etag.ts';
import type { PayloadSigning } from '../signing/payload-signing.ts';
import type { Transport } from '../transport.ts';
import { versionOf } from '../version-id.ts';
import { carriedInput, md5For, withExpires, withHash, writeInput } from './input.ts';

type Uploads = Pick<Transport, 'createUpload' | 'uploadPart' | 'completeUpload' | 'abortUpload'>;

export function sdkUploads(client: S3Client, signing: PayloadSigning): Uploads {
  return {
    createUpload(at, headers, ctx) {
      const described = { ...writeInput(headers), ...carriedInput(headers) };
      const command = new CreateMultipartUploadCommand({ Bucket: at.bucket, Key: at.key, ...described });
      withExpires(command.middlewareStack as unknown as Parameters<typeof withExpires>[0], headers);
      return call({ ...at, permission: writePermission(headers) }, ctx, async (options) => {
        return uploadIdOf((await client.send(command, options)).UploadId);
      });
    },

    uploadPart({ at, uploadId, number, sha256 }, data, ctx) {
      const command = (): UploadPartCommand => {
        const made = new UploadPartCommand({
          Bucket: at.bucket,
          Key: at.key,
          UploadId: uploadId,
          PartNumber: number,
          Body: data,
          ContentLength: data.byteLength,
          ...md5For(signing, at.bucket, data),
        });
        withHash(made.middlewareStack as unknown as Parameters<typeof withHash>[0], signing, sha256);
        return made;
      };
      return call({ ...at, permission: 's3:PutObject' }, ctx, async (options) => {
        const { ETag, ChecksumCRC32: crc32 } = await signing.attempt(at.bucket, () => client.send(command(), options));
        return { etag: etagOf(ETag), ...(crc32 !== undefined && { crc32 }) };
      });
    },

    completeUpload({ at, uploadId }, parts, { ifNoneMatch, ifMatch }, ctx) {
      const command = new CompleteMultipartUploadCommand({
        Bucket: at.bucket,
        Key: at.key,
        UploadId: uploadId,
        MultipartUpload: {
          Parts: parts.map(({ number, etag, crc32 }) => ({
            PartNumber: number,
            ETag: quoted(etag),
            ChecksumCRC32: crc32,
          })),
        },
        IfNoneMatch: ifNoneMatch,
        IfMatch: ifMatch,
      });
      return call({ ...at, permission: 's3:PutObject' }, ctx, async (options) => {
        const { ETag, VersionId } = await client.send(command, options);
        return { etag: unquoted(ETag), ...versionOf(VersionId) };
      });
    },

    async abortUpload({ at, uploadId }, ctx) {
      const command = new AbortMultipartUploadCommand({ Bucket: at.bucket, Key: at.key, UploadId: uploadId });
      await call({ ...at, permission: 's3:AbortMultipartUpload' }, ctx, (options) => client.send(command, options));
    },
  };
}
