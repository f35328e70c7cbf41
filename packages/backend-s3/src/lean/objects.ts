import { writePermission } from '../acl-header.ts';
import { call } from '../call.ts';
import { notModifiedFrom } from '../conditions.ts';
import { deleteDocument, failuresFrom } from '../documents/object.ts';
import { readPermission } from '../errors.ts';
import { etagOf } from '../etag.ts';
import type { AnswerHead } from '../http/raw-answer.ts';
import type { Settings } from '../settings.ts';
import { queryOf } from '../signing/signature.ts';
import type { Transport } from '../transport.ts';
import { crc32Of } from '../upload/checksums.ts';
import { versionOf } from '../version-id.ts';
import type { LeanClient } from './client.ts';
import { carriedIn, objectHeaders, readHeaders, writeHeaders } from './headers.ts';

/** The calls that carry bytes, without the SDK. */
export function leanObjects(
  client: LeanClient,
  { isAws }: Pick<Settings, 'isAws'>,
): Pick<Transport, 'put' | 'get' | 'head' | 'delete' | 'deleteBatch'> {
  return {
    put(at, payload, headers, ctx) {
      return call({ ...at, permission: writePermission(headers) }, ctx, async ({ abortSignal }) => {
        const { sha256, md5 } = payload;
        const request = { method: 'PUT', at, sha256 } as const;
        let answer: AnswerHead;
        if (payload.kind === 'stream') {
          const described = writeHeaders(headers, payload.size, md5);
          answer = await client.send({ ...request, headers: described, body: payload.stream }, abortSignal);
        } else {
          const { data } = payload;
          // Some buckets of AWS insist on a checksum; other servers may not know it.
          const checksum = isAws && headers.checksum === undefined ? ['x-amz-checksum-crc32', crc32Of(data)] : [];
          const described = writeHeaders(headers, data.byteLength, md5, checksum);
          answer = await client.answer({ ...request, headers: described, body: data }, abortSignal);
        }
        const { etag, 'x-amz-version-id': versionId } = answer.headers;
        return { etag: etagOf(etag), ...versionOf(versionId) };
      });
    },

    get(at, headers, ctx) {
      return call({ ...at, permission: readPermission }, ctx, async ({ abortSignal }) => {
        try {
          const { versionId } = headers;
          const query = versionId === undefined ? {} : { query: queryOf([['versionId', versionId]]) };
          const answer = await client.open({ method: 'GET', at, ...query, headers: readHeaders(headers) }, abortSignal);
          return { kind: 'object', headers: objectHeaders(answer), body: answer.body };
        } catch (error) {
          return notModifiedFrom(error);
        }
      });
    },

    head: (at, ctx) =>
      call({ ...at, permission: readPermission }, ctx, async ({ abortSignal }) => {
        const answer = await client.answer({ method: 'HEAD', at }, abortSignal);
        const tagCount = Number(answer.headers['x-amz-tagging-count'] ?? 0) || 0;
        return { ...objectHeaders(answer), carried: carriedIn(answer), tagCount };
      }),

    delete(at, ctx, { versionId, ifMatch } = {}) {
      const query = queryOf([['versionId', versionId]]);
      const headers = readHeaders(ifMatch === undefined ? {} : { ifMatch });
      return client.document('s3:DeleteObject', { method: 'DELETE', at, query, headers }, ctx, () => {});
    },

    deleteBatch(bucket, objects, ctx) {
      const request = { method: 'POST', at: { bucket }, query: 'delete=', document: deleteDocument(objects) } as const;
      return client.document('s3:DeleteObject', request, ctx, failuresFrom);
    },
  };
}
