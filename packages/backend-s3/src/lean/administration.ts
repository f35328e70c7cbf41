import type { CallContext } from '@coffer/storage-core';

import { smallObjectsOf } from '../administration.ts';
import type { Administration } from '../administration.ts';
import { aclDocument, aclFrom } from '../documents/acl.ts';
import {
  corsDocument,
  corsFrom,
  keptVersionsFrom,
  locationDocument,
  locationFrom,
  partsFrom,
  rulesDocument,
  rulesFrom,
  taggingDocument,
  tagsFrom,
  uploadsFrom,
  versioningDocument,
  versioningFrom,
  versionsFrom,
} from '../documents/bucket.ts';
import { queryOf } from '../signing/signature.ts';
import type { DocumentRequest, LeanClient } from './client.ts';

const smallObjectsHeader = 'x-amz-transition-default-minimum-object-size';

type Target = Pick<DocumentRequest, 'at' | 'query'>;

/** The infrequent calls without the SDK, which a server would have to keep in memory for them. */
export function leanAdministration(client: LeanClient): Administration {
  const get = <T>(permission: string, target: Target, ctx: CallContext, read: Parameters<typeof client.document<T>>[3]): Promise<T> =>
    client.document(permission, { method: 'GET', ...target }, ctx, read);
  const put = (permission: string, { headers = [], ...request }: Omit<DocumentRequest, 'method'>, ctx: CallContext): Promise<void> => {
    const all = request.document === undefined ? ['content-length', '0', ...headers] : headers;
    return client.document(permission, { method: 'PUT', ...request, headers: all }, ctx, () => {});
  };
  const remove = (permission: string, target: Target, ctx: CallContext): Promise<void> =>
    client.document(permission, { method: 'DELETE', ...target }, ctx, () => {});
  return {
    createBucket(bucket, { locationConstraint, acl, namespace }, ctx) {
      const headers = acl === undefined ? [] : ['x-amz-acl', acl];
      if (namespace !== undefined) headers.push('x-amz-bucket-namespace', namespace);
      const document = locationConstraint === undefined ? {} : { document: locationDocument(locationConstraint) };
      return put('s3:CreateBucket', { at: { bucket }, headers, ...document }, ctx);
    },
    deleteBucket: (bucket, ctx) => remove('s3:DeleteBucket', { at: { bucket } }, ctx),
    getLocation: (bucket, ctx) => get('s3:GetBucketLocation', { at: { bucket }, query: 'location=' }, ctx, locationFrom),

    getVersioning: (bucket, ctx) => get('s3:GetBucketVersioning', { at: { bucket }, query: 'versioning=' }, ctx, versioningFrom),
    hasKeptVersions: (bucket, ctx) => get('s3:GetBucketVersioning', { at: { bucket }, query: 'versioning=' }, ctx, keptVersionsFrom),
    setVersioning: (bucket, enabled, ctx) =>
      put('s3:PutBucketVersioning', { at: { bucket }, query: 'versioning=', document: versioningDocument(enabled) }, ctx),

    getRules: (bucket, ctx) =>
      get('s3:GetLifecycleConfiguration', { at: { bucket }, query: 'lifecycle=' }, ctx, (document, headers) =>
        rulesFrom(document, headers[smallObjectsHeader] as string | undefined),
      ),
    putRules(bucket, rules, ctx) {
      const smallObjects = smallObjectsOf(rules);
      const headers = smallObjects === undefined ? [] : [smallObjectsHeader, smallObjects];
      return put('s3:PutLifecycleConfiguration', { at: { bucket }, query: 'lifecycle=', headers, document: rulesDocument(rules) }, ctx);
    },
    deleteRules: (bucket, ctx) => remove('s3:PutLifecycleConfiguration', { at: { bucket }, query: 'lifecycle=' }, ctx),

    getCors: (bucket, ctx) => get('s3:GetBucketCORS', { at: { bucket }, query: 'cors=' }, ctx, corsFrom),
    putCors: (bucket, rules, ctx) => put('s3:PutBucketCORS', { at: { bucket }, query: 'cors=', document: corsDocument(rules) }, ctx),

    putObjectAcl(at, acl, ctx) {
      const payload = typeof acl === 'string' ? { headers: ['x-amz-acl', acl] } : { document: aclDocument(acl) };
      return put('s3:PutObjectAcl', { at, query: 'acl=', ...payload }, ctx);
    },
    getTags: (at, ctx) => get('s3:GetObjectTagging', { at, query: 'tagging=' }, ctx, tagsFrom),
    putTags: (at, tags, ctx) => put('s3:PutObjectTagging', { at, query: 'tagging=', document: taggingDocument(tags) }, ctx),
    getBucketAcl: (bucket, ctx) => get('s3:GetBucketAcl', { at: { bucket }, query: 'acl=' }, ctx, aclFrom),
    putBucketAcl: (bucket, acl, ctx) => put('s3:PutBucketAcl', { at: { bucket }, query: 'acl=', headers: ['x-amz-acl', acl] }, ctx),

    listVersions(bucket, ctx, prefix) {
      const query = queryOf([
        ['encoding-type', 'url'],
        ['prefix', prefix],
        ['versions', ''],
      ]);
      return get('s3:ListBucketVersions', { at: { bucket }, query }, ctx, versionsFrom);
    },
    listUploads(bucket, after, ctx) {
      const query = queryOf([
        ['key-marker', after?.key],
        ['upload-id-marker', after?.uploadId],
        ['uploads', ''], // not URL-encoded: some servers would encode without saying so
      ]);
      return get('s3:ListBucketMultipartUploads', { at: { bucket }, query }, ctx, (document) => uploadsFrom(document, bucket));
    },
    listParts({ at, uploadId }, after, ctx) {
      const query = queryOf([
        ['part-number-marker', after],
        ['uploadId', uploadId],
      ]);
      return get('s3:ListMultipartUploadParts', { at, query }, ctx, partsFrom);
    },
  };
}
