import {
  CreateBucketCommand,
  DeleteBucketCommand,
  GetBucketAclCommand,
  GetBucketLocationCommand,
  GetBucketVersioningCommand,
  GetObjectTaggingCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  ListPartsCommand,
  PutBucketAclCommand,
  PutBucketVersioningCommand,
  PutObjectAclCommand,
  PutObjectTaggingCommand,
} from '@aws-sdk/client-s3';
import type { BucketCannedACL, BucketLocationConstraint, DeleteMarkerEntry, S3Client } from '@aws-sdk/client-s3';
import type { CallContext, CannedAcl } from '@coffer/storage-core';

import type { Administration } from '../administration.ts';
import { call } from '../call.ts';
import { nextPart, nextUpload } from '../documents/bucket.ts';
import { urlDecoded } from '../documents/url-encoding.ts';
import type { ObjectVersion } from '../transport.ts';
import { aclFromOutput, grantsTo } from './acl.ts';
import { sdkCors } from './cors.ts';
import { sdkRules } from './rules.ts';

export function sdkAdministration(client: S3Client): Administration {
  const versioningOf = async (bucket: string, ctx: CallContext): Promise<string | undefined> => {
    const command = new GetBucketVersioningCommand({ Bucket: bucket });
    const { Status } = await call({ bucket, permission: 's3:GetBucketVersioning' }, ctx, (options) => client.send(command, options));
    return Status;
  };
  return {
    ...sdkRules(client),
    ...sdkCors(client),
    async createBucket(bucket, options, ctx) {
      const command = createCommand(bucket, options);
      await call({ bucket, permission: 's3:CreateBucket' }, ctx, (sending) => client.send(command, sending));
    },
    async deleteBucket(bucket, ctx) {
      const command = new DeleteBucketCommand({ Bucket: bucket });
      await call({ bucket, permission: 's3:DeleteBucket' }, ctx, (options) => client.send(command, options));
    },
    async getLocation(bucket, ctx) {
      const command = new GetBucketLocationCommand({ Bucket: bucket });
      const about = { bucket, permission: 's3:GetBucketLocation' };
      const { LocationConstraint = '' } = await call(about, ctx, (options) => client.send(command, options));
      return LocationConstraint;
    },

    getVersioning: async (bucket, ctx) => (await versioningOf(bucket, ctx)) === 'Enabled',
    hasKeptVersions: async (bucket, ctx) => ((await versioningOf(bucket, ctx)) ?? '') !== '',
    async setVersioning(bucket, enabled, ctx) {
      const configuration = { Status: enabled ? 'Enabled' : 'Suspended' } as const;
      const command = new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: configuration });
      await call({ bucket, permission: 's3:PutBucketVersioning' }, ctx, (options) => client.send(command, options));
    },

    async putObjectAcl(at, acl, ctx) {
      const payload =
        typeof acl === 'string' ? { ACL: acl } : { AccessControlPolicy: { Owner: { ID: acl.owner.id }, Grants: grantsTo(acl) } };
      const command = new PutObjectAclCommand({ Bucket: at.bucket, Key: at.key, ...payload });
      await call({ ...at, permission: 's3:PutObjectAcl' }, ctx, (options) => client.send(command, options));
    },
    async getTags(at, ctx) {
      const command = new GetObjectTaggingCommand({ Bucket: at.bucket, Key: at.key });
      const { TagSet = [] } = await call({ ...at, permission: 's3:GetObjectTagging' }, ctx, (options) => client.send(command, options));
      return TagSet.map(({ Key: name = '', Value: value = '' }) => ({ name, value }));
    },
    async putTags(at, tags, ctx) {
      const listed = tags.map(({ name, value }) => ({ Key: name, Value: value }));
      const command = new PutObjectTaggingCommand({ Bucket: at.bucket, Key: at.key, Tagging: { TagSet: listed } });
      await call({ ...at, permission: 's3:PutObjectTagging' }, ctx, (options) => client.send(command, options));
    },
    getBucketAcl: (bucket, ctx) =>
      call({ bucket, permission: 's3:GetBucketAcl' }, ctx, async (options) =>
        aclFromOutput(await client.send(new GetBucketAclCommand({ Bucket: bucket }), options)),
      ),
    async putBucketAcl(bucket, acl, ctx) {
      const command = new PutBucketAclCommand({ Bucket: bucket, ACL: bucketAclOf(acl) });
      await call({ bucket, permission: 's3:PutBucketAcl' }, ctx, (options) => client.send(command, options));
    },

    async listVersions(bucket, ctx, prefix) {
      const command = new ListObjectVersionsCommand({
        Bucket: bucket,
        EncodingType: 'url',
        Prefix: prefix,
      });
      return call({ bucket, permission: 's3:ListBucketVersions' }, ctx, async (options) => {
        const page = await client.send(command, options);
        const decode = page.EncodingType === 'url' ? urlDecoded : String;
        const versionsOf = (listed: readonly DeleteMarkerEntry[] = []): readonly ObjectVersion[] =>
          listed.flatMap(({ Key: key, VersionId: versionId }) =>
            key === undefined ? [] : [{ key: decode(key), ...(versionId !== undefined && versionId !== '' && { versionId }) }],
          );
        return [...versionsOf(page.Versions), ...versionsOf(page.DeleteMarkers).map((marker) => ({ ...marker, isMarker: true as const }))];
      });
    },
    async listUploads(bucket, after, ctx) {
      // Not URL-encoded: some servers would encode without saying so.
      const command = new ListMultipartUploadsCommand({
        Bucket: bucket,
        KeyMarker: after?.key,
        UploadIdMarker: after?.uploadId,
      });
      const about = { bucket, permission: 's3:ListBucketMultipartUploads' };
      return call(about, ctx, async (options) => {
        const page = await client.send(command, options);
        const uploads = (page.Uploads ?? []).flatMap(({ Key: key, UploadId: uploadId, Initiated: initiatedAt = new Date(0) }) =>
          key === undefined || uploadId === undefined ? [] : [{ at: { bucket, key }, uploadId, initiatedAt }],
        );
        const { IsTruncated: isMore, NextKeyMarker: key, NextUploadIdMarker: uploadId } = page;
        return isMore === true ? { uploads, next: nextUpload(uploads, key, uploadId) } : { uploads };
      });
    },
    async listParts({ at, uploadId }, after, ctx) {
      const command = new ListPartsCommand({ Bucket: at.bucket, Key: at.key, UploadId: uploadId, PartNumberMarker: after });
      const about = { ...at, permission: 's3:ListMultipartUploadParts' };
      return call(about, ctx, async (options) => {
        const { Parts: parts = [], IsTruncated: isMore, NextPartNumberMarker: next } = await client.send(command, options);
        const size = parts.reduce((sum, { Size = 0 }) => sum + Size, 0);
        const latest = new Date(Math.max(0, ...parts.map(({ LastModified: came }) => came?.getTime() ?? 0)));
        return { size, latest, ...(isMore === true && { next: nextPart(next || parts.at(-1)?.PartNumber?.toString()) }) };
      });
    },
  };
}

function createCommand(
  bucket: string,
  { locationConstraint, acl, namespace }: Parameters<Administration['createBucket']>[1],
): CreateBucketCommand {
  const command = new CreateBucketCommand({
    Bucket: bucket,
    ...(locationConstraint !== undefined && {
      CreateBucketConfiguration: { LocationConstraint: locationConstraint as BucketLocationConstraint },
    }),
    ...(acl !== undefined && { ACL: bucketAclOf(acl) }),
    ...(namespace !== undefined && { BucketNamespace: namespace }),
  });
  if (locationConstraint !== undefined) return command;
  // The SDK fills in the region that it signs for.
  command.middlewareStack.add(
    (next) => (args) => {
      delete args.input.CreateBucketConfiguration;
      return next(args);
    },
    { step: 'initialize', priority: 'low', name: 'withoutLocationConstraint' },
  );
  return command;
}

/** The SDK knows four canned ACLs for buckets. Which others a server accepts is up to the server. */
function bucketAclOf(acl: CannedAcl): BucketCannedACL {
  return acl as BucketCannedACL;
}
