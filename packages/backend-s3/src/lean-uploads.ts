import { call } from './call.ts';
import { completeDocument, completedEtagFrom, uploadIdFrom } from './documents.ts';
import type { LeanClient } from './lean-client.ts';
import { writeHeaders } from './lean-objects.ts';
import type { Settings } from './options.ts';
import { uriEncode } from './signature.ts';
import type { Transport } from './transport.ts';
import { versionOf } from './version-id.ts';

/** The calls around the parts of an object, without the SDK. */
export function leanUploads(
  client: LeanClient,
  { isAws }: Pick<Settings, 'isAws'>,
): Pick<Transport, 'createUpload' | 'completeUpload' | 'abortUpload'> {
  return {
    createUpload(at, headers, ctx) {
      // AWS takes checksums of parts only if they were announced.
      const checksum = isAws ? ['x-amz-checksum-algorithm', 'CRC32'] : [];
      const all = writeHeaders(headers, 0, undefined, checksum);
      return call({ ...at, permission: 's3:PutObject' }, ctx, ({ abortSignal }) =>
        client.document({ method: 'POST', at, query: 'uploads=', headers: all }, abortSignal, uploadIdFrom),
      );
    },

    completeUpload({ at, uploadId }, parts, { ifNoneMatch, ifMatch }, ctx) {
      const conditions = [
        ...(ifMatch === undefined ? [] : ['if-match', ifMatch]),
        ...(ifNoneMatch === undefined ? [] : ['if-none-match', ifNoneMatch]),
      ];
      const request = { method: 'POST', at, query: `uploadId=${uriEncode(uploadId)}`, headers: conditions } as const;
      return call({ ...at, permission: 's3:PutObject' }, ctx, ({ abortSignal }) =>
        client.document({ ...request, document: completeDocument(parts) }, abortSignal, (document, headers) => ({
          etag: completedEtagFrom(document),
          ...versionOf(headers['x-amz-version-id']),
        })),
      );
    },

    async abortUpload({ at, uploadId }, ctx) {
      await call({ ...at, permission: 's3:AbortMultipartUpload' }, ctx, ({ abortSignal }) =>
        client.document({ method: 'DELETE', at, query: `uploadId=${uriEncode(uploadId)}` }, abortSignal, () => {}),
      );
    },
  };
}
