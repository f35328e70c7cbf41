import { startS3 } from '@coffer/fixtures';
import { describeBackend } from '@coffer/storage-core/testing';
import { afterAll, describe, expect, it } from 'vitest';

import { findHostsBelowLocalhost } from './testing/hosts-below-localhost.ts';
import { accountOn, startOn } from './testing/server.ts';

// Buckets as hosts, as on AWS: the fixtures' Ceph serves those below localhost.
const server = await startS3('ceph');
const hosts = findHostsBelowLocalhost();
const start = async (): ReturnType<typeof startOn> => {
  const account = await accountOn(server);
  return startOn({ ...account, endpoint: account.endpoint.replace('127.0.0.1', 'localhost'), forcePathStyle: false });
};

describeBackend({ describe, it, after: afterAll }, `${server.name}, buckets as hosts`, {
  abilities: {
    buckets: true,
    acl: true,
    presign: true,
    batchDelete: true,
    versioning: true,
    lifecycle: true,
    maintenance: true,
    pull: true,
  },
  refusedAcls: ['aws-exec-read'],
  start,
});

it('goes to the host of the bucket', async () => {
  const { bucket, stop } = await start();
  try {
    expect(hosts).toContain(`${bucket}.localhost`);
  } finally {
    await stop();
  }
});
