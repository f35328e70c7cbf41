import { randomBytes } from 'node:crypto';

import { CreateBucketCommand, PutObjectLegalHoldCommand } from '@aws-sdk/client-s3';
import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import type { ObjectAddress } from '@coffer/storage-core';
import { expect, it, onTestFinished } from 'vitest';

import { s3Backend } from './backend.ts';
import { inParallel } from './concurrency.ts';
import { transports } from './testing/fault-bench.ts';
import { accountOn, ifAvailable, sdkOn } from './testing/server.ts';

const servers = [await startS3('ceph'), await ifAvailable(startS3('minio'))].filter((server) => typeof server !== 'string');
const cases = servers.flatMap((server) => transports.map((transport) => ({ server, transport, name: server.name })));

it.each(cases)(
  'a bucket under Object Lock keeps its versions and what is held, also as deleted, and says so ($name, $transport)',
  async (given) => {
    const account = { ...(await accountOn(given.server)), transport: given.transport };
    const [backend, { client, close }] = [s3Backend(account), sdkOn(account)];
    const at = { bucket: `lock-${randomBytes(6).toString('hex')}`, key: 'held' };
    const deleted = { ...at, key: 'deleted' };
    const hold = async (Status: 'ON' | 'OFF', { key: Key }: ObjectAddress, VersionId?: string): Promise<void> => {
      await client.send(new PutObjectLegalHoldCommand({ Bucket: at.bucket, Key, VersionId, LegalHold: { Status } }));
    };
    const body = { kind: 'buffer', data: Buffer.from('x') } as const;
    await client.send(new CreateBucketCommand({ Bucket: at.bucket, ObjectLockEnabledForBucket: true }));
    const { versionId } = await backend.put(at, body, { contentType: 'text/plain' }, noContext);
    const former = await backend.put(deleted, body, { contentType: 'text/plain' }, noContext);
    onTestFinished(async () => {
      await hold('OFF', at, versionId);
      await hold('OFF', deleted, former.versionId);
      await backend.buckets?.delete(at.bucket, { force: true }, noContext);
      close();
      await backend.close();
    });
    // A page of 1,000 then ends between the version of `deleted` and the marker above it.
    await inParallel(
      Array.from({ length: 998 }, (_, index) => index),
      16,
      (index) => backend.put({ ...at, key: `a/${index}` }, body, { contentType: 'text/plain' }, noContext),
    );
    await backend.put({ ...at, key: 'b' }, body, { contentType: 'text/plain' }, noContext);
    await hold('ON', at);
    await hold('ON', deleted);
    await backend.delete(deleted, noContext);
    await expect(backend.versioning!.setVersioning(at.bucket, false, noContext)).rejects.toMatchObject({
      code: 'not_supported',
      message: expect.stringContaining('Object Lock') as string,
    });
    await expect(backend.buckets!.delete(at.bucket, { force: true }, noContext)).rejects.toMatchObject({
      code: 'access_denied',
      message: expect.stringContaining('object lock') as string,
    });
    expect(await backend.head(at, noContext)).toMatchObject({ versionId });
    // The server lets delete markers go, which would bring the objects below them back.
    await expect(backend.head(deleted, noContext)).rejects.toMatchObject({ code: 'file_not_found' });
  },
);
