import { CopyObjectCommand, GetObjectAclCommand, UploadPartCopyCommand } from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';

import { writePermission } from '../acl-header.ts';
import { call } from '../call.ts';
import { etagOf, quoted } from '../etag.ts';
import { encodeKey } from '../signing/signature.ts';
import type { CopySource, Transport } from '../transport.ts';
import { versionOf } from '../version-id.ts';
import { aclFromOutput } from './acl.ts';
import { carriedInput, withExpires, writeInput } from './input.ts';

export function sdkCopies(client: S3Client): Pick<Transport, 'copy' | 'copyPart' | 'getAcl'> {
  return {
    copy(from, to, { replaced, ...written }, ctx) {
      const command = new CopyObjectCommand({
        Bucket: to.bucket,
        Key: to.key,
        ...sourceInput(from),
        ...writeInput({ ...written, ...replaced }),
        ...(replaced !== undefined && { MetadataDirective: 'REPLACE', ...carriedInput(replaced) }),
      });
      withExpires(command.middlewareStack as unknown as Parameters<typeof withExpires>[0], replaced ?? {});
      return call({ ...to, permission: writePermission(written) }, ctx, async (options) => {
        const { CopyObjectResult, VersionId } = await client.send(command, options);
        return { etag: etagOf(CopyObjectResult?.ETag), ...versionOf(VersionId) };
      });
    },

    copyPart(from, { at, uploadId, number }, ctx) {
      const part = { UploadId: uploadId, PartNumber: number, CopySourceRange: from.range };
      const command = new UploadPartCopyCommand({ Bucket: at.bucket, Key: at.key, ...part, ...sourceInput(from) });
      return call({ ...at, permission: 's3:PutObject' }, ctx, async (options) => {
        const { CopyPartResult } = await client.send(command, options);
        const crc32 = CopyPartResult?.ChecksumCRC32;
        return { etag: etagOf(CopyPartResult?.ETag), ...(crc32 !== undefined && { crc32 }) };
      });
    },

    getAcl: (at, ctx) =>
      call({ ...at, permission: 's3:GetObjectAcl' }, ctx, async (options) =>
        aclFromOutput(await client.send(new GetObjectAclCommand({ Bucket: at.bucket, Key: at.key }), options)),
      ),
  };
}

function sourceInput({ bucket, key, ifMatch }: CopySource): { readonly CopySource: string; readonly CopySourceIfMatch?: string } {
  return { CopySource: `${bucket}/${encodeKey(key)}`, ...(ifMatch !== undefined && { CopySourceIfMatch: quoted(ifMatch) }) };
}
