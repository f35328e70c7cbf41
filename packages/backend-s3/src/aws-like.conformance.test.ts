import { startS3 } from '@coffer/fixtures';
import { describeBackend } from '@coffer/storage-core/testing';
import { afterAll, describe, expect, it } from 'vitest';

import { findHostsBelowLocalhost } from './testing/hosts-below-localhost.ts';
import { abilitiesOn, accountOn, startOn } from './testing/server.ts';
import { tlsFront } from './testing/tls-front.ts';

// Over TLS and with buckets as hosts, as on AWS: the fixtures' Ceph serves buckets below s3.localhost.
const server = await startS3('ceph');
const front = await tlsFront(server.endpoint, ['s3.localhost', '*.s3.localhost']);
const hosts = findHostsBelowLocalhost();
const endpoint = `https://s3.localhost:${front.port}`;
afterAll(() => front[Symbol.asyncDispose]());

for (const transport of ['lean', 'sdk'] as const) {
  const start = async (): ReturnType<typeof startOn> =>
    startOn({ ...(await accountOn(server)), endpoint, forcePathStyle: false, transport });

  describeBackend({ describe, it, after: afterAll }, `${server.name}, TLS and buckets as hosts, ${transport} transport`, {
    abilities: abilitiesOn(transport),
    refusedAcls: ['aws-exec-read'],
    start,
  });

  it(`goes to the host of the bucket, ${transport} transport`, async () => {
    const { bucket, stop } = await start();
    try {
      expect(hosts).toContain(`${bucket}.s3.localhost`);
    } finally {
      await stop();
    }
  });
}
