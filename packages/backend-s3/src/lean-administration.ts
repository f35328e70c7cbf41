import type { Administration } from './administration.ts';
import {
  aclPolicyDocument,
  corsDocument,
  corsFrom,
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
} from './bucket-documents.ts';
import { call } from './call.ts';
import { aclDocumentFrom } from './documents.ts';
import { aclFrom } from './grants.ts';
import type { LeanClient, LeanRequest } from './lean-client.ts';
import { queryOf } from './signature.ts';

/** The calls that are made now and then, without the SDK, whose memory a server would keep for them. */
export function leanAdministration(client: LeanClient): Administration {
  const get = <T>(
    request: Pick<LeanRequest, 'at' | 'query'>,
    read: (document: string) => T,
    abortSignal: AbortSignal | undefined,
  ): Promise<T> => client.document({ method: 'GET', ...request }, abortSignal, read);
  const put = (
    request: Pick<LeanRequest, 'at' | 'query' | 'headers'> & { readonly document?: string },
    abortSignal: AbortSignal | undefined,
  ): Promise<void> => {
    const { document, headers = [] } = request;
    const sent = document === undefined ? { headers: ['content-length', '0', ...headers] } : { headers, document };
    return client.document({ method: 'PUT', ...request, ...sent }, abortSignal, () => {});
  };
  const remove = async (request: Pick<LeanRequest, 'at' | 'query'>, abortSignal: AbortSignal | undefined): Promise<void> => {
    await client.document({ method: 'DELETE', ...request }, abortSignal, () => {});
  };
  return {
    createBucket: (bucket, { place, acl }, ctx) =>
      call({ bucket, permission: 's3:CreateBucket' }, ctx, ({ abortSignal }) => {
        const headers = acl === undefined || acl === 'private' ? [] : ['x-amz-acl', acl];
        return put({ at: { bucket }, headers, ...(place !== undefined && { document: locationDocument(place) }) }, abortSignal);
      }),
    deleteBucket: (bucket, ctx) =>
      call({ bucket, permission: 's3:DeleteBucket' }, ctx, ({ abortSignal }) => remove({ at: { bucket } }, abortSignal)),
    getLocation: (bucket, ctx) =>
      call({ bucket, permission: 's3:GetBucketLocation' }, ctx, ({ abortSignal }) =>
        get({ at: { bucket }, query: 'location=' }, locationFrom, abortSignal),
      ),

    getVersioning: (bucket, ctx) =>
      call({ bucket, permission: 's3:GetBucketVersioning' }, ctx, ({ abortSignal }) =>
        get({ at: { bucket }, query: 'versioning=' }, versioningFrom, abortSignal),
      ),
    setVersioning: (bucket, enabled, ctx) =>
      call({ bucket, permission: 's3:PutBucketVersioning' }, ctx, ({ abortSignal }) =>
        put({ at: { bucket }, query: 'versioning=', document: versioningDocument(enabled) }, abortSignal),
      ),

    getRules: (bucket, ctx) =>
      call({ bucket, permission: 's3:GetLifecycleConfiguration' }, ctx, ({ abortSignal }) =>
        get({ at: { bucket }, query: 'lifecycle=' }, rulesFrom, abortSignal),
      ),
    putRules: (bucket, rules, ctx) =>
      call({ bucket, permission: 's3:PutLifecycleConfiguration' }, ctx, ({ abortSignal }) =>
        put({ at: { bucket }, query: 'lifecycle=', document: rulesDocument(rules) }, abortSignal),
      ),
    deleteRules: (bucket, ctx) =>
      call({ bucket, permission: 's3:PutLifecycleConfiguration' }, ctx, ({ abortSignal }) =>
        remove({ at: { bucket }, query: 'lifecycle=' }, abortSignal),
      ),

    getCors: (bucket, ctx) =>
      call({ bucket, permission: 's3:GetBucketCORS' }, ctx, ({ abortSignal }) =>
        get({ at: { bucket }, query: 'cors=' }, corsFrom, abortSignal),
      ),
    putCors: (bucket, rules, ctx) =>
      call({ bucket, permission: 's3:PutBucketCORS' }, ctx, ({ abortSignal }) =>
        put({ at: { bucket }, query: 'cors=', document: corsDocument(rules) }, abortSignal),
      ),

    putObjectAcl: (at, acl, ctx) =>
      call({ ...at, permission: 's3:PutObjectAcl' }, ctx, ({ abortSignal }) => {
        const told = typeof acl === 'string' ? { headers: ['x-amz-acl', acl] } : { document: aclPolicyDocument(acl) };
        return put({ at, query: 'acl=', ...told }, abortSignal);
      }),
    getTags: (at, ctx) =>
      call({ ...at, permission: 's3:GetObjectTagging' }, ctx, ({ abortSignal }) => get({ at, query: 'tagging=' }, tagsFrom, abortSignal)),
    putTags: (at, tags, ctx) =>
      call({ ...at, permission: 's3:PutObjectTagging' }, ctx, ({ abortSignal }) =>
        put({ at, query: 'tagging=', document: taggingDocument(tags) }, abortSignal),
      ),
    getBucketAcl: (bucket, ctx) =>
      call({ bucket, permission: 's3:GetBucketAcl' }, ctx, ({ abortSignal }) =>
        get({ at: { bucket }, query: 'acl=' }, (document) => aclFrom(aclDocumentFrom(document)), abortSignal),
      ),
    putBucketAcl: (bucket, acl, ctx) =>
      call({ bucket, permission: 's3:PutBucketAcl' }, ctx, ({ abortSignal }) =>
        put({ at: { bucket }, query: 'acl=', headers: ['x-amz-acl', acl] }, abortSignal),
      ),

    listVersions(bucket, ctx, prefix) {
      const query = queryOf([
        ['encoding-type', 'url'],
        ['prefix', prefix],
        ['versions', ''],
      ]);
      return call({ bucket, permission: 's3:ListBucketVersions' }, ctx, ({ abortSignal }) =>
        get({ at: { bucket }, query }, versionsFrom, abortSignal),
      );
    },
    listUploads(bucket, after, ctx) {
      const query = queryOf([
        ['key-marker', after?.key],
        ['upload-id-marker', after?.uploadId],
        ['uploads', ''], // not URL-encoded: some servers would encode without saying so
      ]);
      return call({ bucket, permission: 's3:ListBucketMultipartUploads' }, ctx, ({ abortSignal }) =>
        get({ at: { bucket }, query }, (document) => uploadsFrom(document, bucket), abortSignal),
      );
    },
    listParts({ at, uploadId }, after, ctx) {
      const query = queryOf([
        ['part-number-marker', after],
        ['uploadId', uploadId],
      ]);
      return call({ ...at, permission: 's3:ListMultipartUploadParts' }, ctx, ({ abortSignal }) =>
        get({ at, query }, partsFrom, abortSignal),
      );
    },
  };
}
