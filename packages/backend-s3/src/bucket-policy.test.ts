import { randomUUID } from 'node:crypto';

import { PutBucketPolicyCommand } from '@aws-sdk/client-s3';
import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import type { StorageBackend } from '@coffer/storage-core';
import { expect, it, onTestFinished } from 'vitest';

import { s3Backend } from './backend.ts';
import type { S3BackendOptions } from './options.ts';
import { awsProfile } from './profile.ts';
import type { EndpointProfile } from './profile.ts';
import { transports } from './testing/fault-bench.ts';
import { accountOn, sdkOn } from './testing/server.ts';

const mib = 2 ** 20;

/** The buckets of another account, in which a policy allows what is usual, with the objects that are given. */
async function guestOn(
  objects: Readonly<Record<string, Buffer>>,
  options: S3BackendOptions,
  profile: EndpointProfile,
): Promise<{ readonly backend: StorageBackend; readonly bucket: string }> {
  const ceph = await startS3('ceph');
  const [owner, guest] = await Promise.all([accountOn(ceph), accountOn(ceph)]);
  const bucket = `policy-${randomUUID()}`;
  const [own, backend] = [s3Backend(owner, awsProfile), s3Backend({ ...guest, ...options }, profile)];
  const sdk = sdkOn(owner);
  onTestFinished(async () => {
    sdk.close();
    await backend.close?.();
    await own.buckets!.delete(bucket, { force: true }, noContext);
    await own.close?.();
  });
  await own.buckets!.create(bucket, {}, noContext);
  for (const [key, data] of Object.entries(objects))
    await own.put({ bucket, key }, { kind: 'buffer', data }, { contentType: 'text/plain' }, noContext);
  const guests = { Effect: 'Allow', Principal: { AWS: [`arn:aws:iam:::user/${guest.accessKey}`] } };
  const ofObjects = ['GetObject', 'GetObjectAcl', 'PutObject', 'DeleteObject', 'AbortMultipartUpload'].map((name) => `s3:${name}`);
  const Statement = [
    { ...guests, Action: ofObjects, Resource: [`arn:aws:s3:::${bucket}/*`] },
    { ...guests, Action: ['s3:ListBucket'], Resource: [`arn:aws:s3:::${bucket}`] },
  ];
  await sdk.client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy: JSON.stringify({ Version: '2012-10-17', Statement }) }));
  return { backend, bucket };
}

// Ceph looks for a policy of the bucket itself when several objects are to be deleted.
it.each(transports)('objects are deleted together if a policy lets them be deleted (%s)', async (transport) => {
  const { backend, bucket } = await guestOn({ a: Buffer.of(), b: Buffer.of(), c: Buffer.of() }, { transport }, awsProfile);
  expect(await backend.batchDelete!.deleteMany(bucket, ['a', 'b'], noContext)).toEqual({ deleted: ['a', 'b'], errors: [] });
  expect((await backend.list(bucket, {}, noContext)).objects.map(({ key }) => key)).toEqual(['c']);
});

// Ceph copies a whole object that a policy lets somebody read, but no part of it.
it.each(
  transports.flatMap((transport) => [
    [transport, 'in one request', awsProfile] as const,
    [transport, 'through here', { ...awsProfile, copySourceCondition: false, conditionalPutOfVersions: false }] as const,
  ]),
)('a large object is copied if a policy lets it be read (%s, %s)', async (transport, _how, profile) => {
  const large = Buffer.alloc(6 * mib, 'x');
  const { backend, bucket } = await guestOn({ large }, { transport, copyByPartsFrom: 5 * mib, partSize: 5 * mib }, profile);
  const copied = await backend.copy({ bucket, key: 'large' }, { bucket, key: 'copy' }, {}, noContext);
  expect(copied.size).toBe(large.length);
  expect(await backend.head({ bucket, key: 'copy' }, noContext)).toMatchObject({ size: large.length, contentType: 'text/plain' });
});
