import { writePermission } from '../acl-header.ts';
import { call } from '../call.ts';
import { completeDocument, completedEtagFrom, uploadIdFrom } from '../documents/object.ts';
import { etagOf } from '../etag.ts';
import type { Settings } from '../settings.ts';
import { uriEncode } from '../signing/signature.ts';
import type { Transport } from '../transport.ts';
import { crc32Of } from '../upload/checksums.ts';
import { versionOf } from '../version-id.ts';
import type { LeanClient } from './client.ts';
import { writeHeaders } from './headers.ts';

/** The calls of multipart uploads, without the SDK. */
export function leanUploads(
  client: LeanClient,
  { isAws }: Pick<Settings, 'isAws'>,
): Pick<Transport, 'createUpload' | 'uploadPart' | 'completeUpload' | 'abortUpload'> {
  return {
    createUpload(at, headers, ctx) {
      // AWS accepts checksums of parts only if they were announced.
      const checksum = isAws ? ['x-amz-checksum-algorithm', 'CRC32'] : [];
      const all = writeHeaders(headers, 0, undefined, checksum);
      return client.document(writePermission(headers), { method: 'POST', at, query: 'uploads=', headers: all }, ctx, uploadIdFrom);
    },

    uploadPart({ at, uploadId, number, sha256 }, data, ctx) {
      return call({ ...at, permission: 's3:PutObject' }, ctx, async ({ abortSignal }) => {
        const query = partQuery(uploadId, number);
        const crc32 = isAws ? crc32Of(data) : undefined;
        const checksum = crc32 === undefined ? [] : ['x-amz-checksum-crc32', crc32];
        const headers = ['content-length', String(data.byteLength), ...checksum];
        const answer = await client.answer({ method: 'PUT', at, query, headers, body: data, sha256 }, abortSignal);
        return { etag: etagOf(answer.headers['etag']), ...(crc32 !== undefined && { crc32 }) };
      });
    },

    completeUpload({ at, uploadId }, parts, { ifNoneMatch, ifMatch }, ctx) {
      const conditions = [
        ...(ifMatch === undefined ? [] : ['if-match', ifMatch]),
        ...(ifNoneMatch === undefined ? [] : ['if-none-match', ifNoneMatch]),
      ];
      const query = `uploadId=${uriEncode(uploadId)}`;
      const request = { method: 'POST', at, query, headers: conditions, document: completeDocument(parts) } as const;
      return client.document('s3:PutObject', request, ctx, (document, headers) => ({
        etag: completedEtagFrom(document),
        ...versionOf(headers['x-amz-version-id']),
      }));
    },

    abortUpload({ at, uploadId }, ctx) {
      const query = `uploadId=${uriEncode(uploadId)}`;
      return client.document('s3:AbortMultipartUpload', { method: 'DELETE', at, query }, ctx, () => {});
    },
  };
}

export function partQuery(uploadId: string, number: number): string {
  return `partNumber=${number}&uploadId=${uriEncode(uploadId)}`;
}
