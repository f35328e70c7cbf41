import { randomBytes } from 'node:crypto';

import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import { describe, expect, it } from 'vitest';

import { s3Backend } from './backend.ts';
import { transports } from './testing/fault-bench.ts';
import { proxyTo } from './testing/proxy.ts';
import { answering, refusal, scripted } from './testing/scripted.ts';
import { accountOn, ifAvailable } from './testing/server.ts';

const servers = await Promise.all([ifAvailable(startS3('ceph')), ifAvailable(startS3('minio'))]);
const cases = servers
  .filter((server) => typeof server !== 'string')
  .flatMap((server) => transports.map((transport) => ({ server, transport, title: `a check of ${server.name} (${transport})` })));

describe.each(cases)('$title', ({ server, transport }) => {
  it('is one request, whose answer does not grow with the number of buckets', async () => {
    const proxy = await proxyTo(server.endpoint);
    const backend = s3Backend({ ...(await accountOn(server)), endpoint: proxy.endpoint, transport });
    await backend.check(noContext);
    expect(proxy.requests.map(({ method, target }) => `${method} ${target}`)).toEqual([
      expect.stringMatching(/^GET \/coffer-probe-[0-9a-f]{16}\/?\?(?=.*\blist-type=2\b).*\bmax-keys=1\b/),
    ]);
    await backend.close();
    await proxy.close();
  });

  it.each([
    ['a key that nobody has', { accessKey: randomBytes(10).toString('hex') }],
    ['a wrong secret', { secretKey: randomBytes(20).toString('hex') }],
  ])('fails with %s', async (_what, wrong) => {
    const backend = s3Backend({ ...(await accountOn(server)), ...wrong, transport });
    await expect(backend.check(noContext)).rejects.toMatchObject({ code: 'access_denied', retryable: false });
    await backend.close();
  });

  it('fails if the endpoint points into a bucket, whether or not the bucket exists', async () => {
    const account = await accountOn(server);
    const name = `check-${randomBytes(6).toString('hex')}`;
    const [right, wrong] = [account.endpoint, `${account.endpoint}/${name}`].map((endpoint) =>
      s3Backend({ ...account, endpoint, transport }),
    );
    const message = expect.stringContaining('points into a bucket');
    await expect(wrong!.check(noContext)).rejects.toMatchObject({ code: 'storage_unavailable', message });
    await right!.buckets?.create(name, {}, noContext);
    await expect(wrong!.check(noContext)).rejects.toMatchObject({ code: 'storage_unavailable', message });
    await right!.buckets?.delete(name, {}, noContext);
    for (const backend of [right, wrong]) await backend!.close();
  });
});

describe.each(transports)('a check (%s)', (transport) => {
  const noSuchName = refusal(400, 'InvalidRequest');
  it.each([
    ['is content with a bucket of somebody else', [refusal(403, 'AccessDenied')], undefined],
    ['is not content with a server that has nothing under this address', [refusal(404, '')], 'storage_unavailable'],
    ['tells of one that is too busy', [refusal(503, 'SlowDown')], 'storage_unavailable'],
    // At Tencent, names of buckets end with the account.
    ['is content with one that takes no such name', [noSuchName, answering('<ListAllMyBucketsResult/>')], undefined],
    ['still tells of wrong keys there', [noSuchName, refusal(403, 'SignatureDoesNotMatch')], 'access_denied'],
  ])('%s', async (_what, answers, told) => {
    const server = await scripted(...answers);
    const backend = s3Backend({ endpoint: server.endpoint, accessKey: 'who', secretKey: 'secret', transport, maxRetries: 0 });
    const checked = backend.check(noContext);
    if (told === undefined) await checked;
    else await expect(checked).rejects.toMatchObject({ code: told });
    await backend.close();
    await server.close();
  });
});
