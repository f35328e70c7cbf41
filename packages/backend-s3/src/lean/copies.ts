import { writePermission } from '../acl-header.ts';
import { aclFrom } from '../documents/acl.ts';
import { assertNoObject } from '../documents/answer.ts';
import { copiedFrom } from '../documents/object.ts';
import { quoted } from '../etag.ts';
import { encodeKey } from '../signing/signature.ts';
import type { CopyHeaders, CopySource, Transport } from '../transport.ts';
import { versionOf } from '../version-id.ts';
import type { LeanClient } from './client.ts';
import { carriedHeaders, metadataHeaders, redirectHeader } from './headers.ts';
import { partQuery } from './uploads.ts';

/** The calls that make the provider copy, without the SDK. */
export function leanCopies(client: LeanClient): Pick<Transport, 'copy' | 'copyPart' | 'getAcl'> {
  return {
    copy(from, to, headers, ctx) {
      const request = { method: 'PUT', at: to, headers: copyHeaders(from, headers) } as const;
      return client.document(writePermission(headers), request, ctx, (document, answerHeaders) => ({
        etag: copiedFrom(document).etag,
        ...versionOf(answerHeaders['x-amz-version-id']),
      }));
    },

    copyPart(from, { at, uploadId, number }, ctx) {
      const query = partQuery(uploadId, number);
      const headers = ['content-length', '0', ...sourceHeaders(from), 'x-amz-copy-source-range', from.range];
      return client.document('s3:PutObject', { method: 'PUT', at, query, headers }, ctx, copiedFrom);
    },

    getAcl: (at, ctx) =>
      client.document(
        's3:GetObjectAcl',
        { method: 'GET', at, query: 'acl=', onHead: ({ headers }) => assertNoObject(headers, 'acl') },
        ctx,
        aclFrom,
      ),
  };
}

function copyHeaders(from: CopySource, { acl, storageClass, ifNoneMatch, replaced }: CopyHeaders): string[] {
  const headers = [...carriedHeaders(replaced ?? {}), 'content-length', '0'];
  if (replaced !== undefined) headers.push('content-type', replaced.contentType);
  if (replaced?.expires !== undefined) headers.push('expires', replaced.expires);
  if (ifNoneMatch !== undefined) headers.push('if-none-match', ifNoneMatch);
  if (acl !== undefined) headers.push('x-amz-acl', acl);
  headers.push(...sourceHeaders(from));
  if (replaced !== undefined) headers.push(...metadataHeaders(replaced.metadata), 'x-amz-metadata-directive', 'REPLACE');
  if (storageClass !== undefined) headers.push('x-amz-storage-class', storageClass);
  if (replaced?.websiteRedirect !== undefined) headers.push(redirectHeader, replaced.websiteRedirect);
  return headers;
}

function sourceHeaders({ bucket, key, ifMatch }: CopySource): string[] {
  const condition = ifMatch === undefined ? [] : ['x-amz-copy-source-if-match', quoted(ifMatch)];
  return ['x-amz-copy-source', `${bucket}/${encodeKey(key)}`, ...condition];
}
