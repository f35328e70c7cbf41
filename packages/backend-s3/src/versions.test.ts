import { randomBytes } from 'node:crypto';

import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import { afterEach, describe, expect, it } from 'vitest';

import { openS3Backend } from './backend.ts';
import { awsProfile } from './profile.ts';
import { transports } from './testing/fault-bench.ts';
import { newStage } from './testing/lean.ts';
import { ok, refusal } from './testing/scripted.ts';
import { accountOn, ifAvailable } from './testing/server.ts';

const servers = [await startS3('ceph'), await ifAvailable(startS3('minio'))].filter((server) => typeof server !== 'string');
const { serve, backendTo, clear } = newStage();
afterEach(clear);
const cases = servers.flatMap((server) => transports.map((transport) => ({ server, transport, name: server.name })));

describe.each(cases)('a write under If-None-Match in a bucket that keeps versions ($name, $transport)', ({ server, transport }) => {
  it('never replaces an object', async () => {
    const backend = await openS3Backend({ ...(await accountOn(server)), transport });
    const bucket = `versions-${randomBytes(6).toString('hex')}`;
    const at = { bucket, key: 'key' };
    const put = async (data: Buffer, condition: object): Promise<unknown> =>
      backend.put(at, { kind: 'buffer', data }, { contentType: 'text/plain', ...condition }, noContext);
    await backend.buckets?.create(bucket, {}, noContext);
    await backend.versioning?.setVersioning(bucket, true, noContext);
    await put(Buffer.from('first'), {});
    const code = server.kind === 'ceph' ? 'not_supported' : 'precondition_failed';
    for (const size of [10, 9 * 2 ** 20]) await expect(put(Buffer.alloc(size), { ifNoneMatch: '*' })).rejects.toMatchObject({ code });
    const source = { bucket, key: 'source' };
    await backend.put(source, { kind: 'buffer', data: Buffer.from('another') }, { contentType: 'text/plain' }, noContext);
    await expect(backend.copy(source, at, { ifNoneMatch: '*' }, noContext)).rejects.toMatchObject({ code: 'precondition_failed' });
    expect(await backend.head(at, noContext)).toMatchObject({ size: 5 });
    await backend.versioning?.setVersioning(bucket, false, noContext);
    await expect(put(Buffer.alloc(10), { ifNoneMatch: '*' })).rejects.toMatchObject({ code: 'precondition_failed' });
    await backend.buckets?.delete(bucket, { force: true }, noContext);
    await backend.close();
  });
});

describe.each(transports)('a write under If-None-Match if the credentials may not ask whether versions are kept (%s)', (transport) => {
  it.each([
    ['AccessDenied', 403, 'may ignore that there', undefined, 'access_denied'],
    ['NotImplemented', 501, 'may ignore that there', undefined, undefined],
    ['InternalError', 500, 'may ignore that there', undefined, 'storage_unavailable'],
    ['AccessDenied', 403, 'ignores that there', false, 'access_denied'],
    ['NotImplemented', 501, 'ignores that there', false, 'not_supported'],
  ])('after %s (%i), on a server that %s', async (name, status, _does, conditionalPutOfVersions, code) => {
    const server = await serve((request, response) =>
      (request.url?.includes('versioning') === true ? refusal(status, name) : ok)(request, response),
    );
    const put = backendTo(server, { transport }, { ...awsProfile, conditionalPutOfVersions }).put(
      { bucket: 'bucket', key: 'key' },
      { kind: 'buffer', data: Buffer.from('x') },
      { contentType: 'text/plain', ifNoneMatch: '*' },
      noContext,
    );
    if (code === undefined) expect(await put).toMatchObject({ etag: 'made' });
    else await expect(put).rejects.toMatchObject({ code });
    const written = server.requests.filter(({ method }) => method === 'PUT').map(({ headers }) => headers['if-none-match']);
    expect(written).toEqual(code === undefined ? ['*'] : []);
  });
});

it.each(transports)(
  'a refused If-Match is reported as that also if the credentials may not ask whether versions are kept (%s)',
  async (transport) => {
    const server = await serve((request, response) =>
      (request.url?.includes('versioning') === true ? refusal(403, 'AccessDenied') : refusal(412, 'PreconditionFailed'))(request, response),
    );
    const put = backendTo(server, { transport }, { ...awsProfile, conditionalPutOfVersions: false }).put(
      { bucket: 'bucket', key: 'key' },
      { kind: 'buffer', data: Buffer.from('x') },
      { contentType: 'text/plain', ifMatch: 'etag' },
      noContext,
    );
    await expect(put).rejects.toMatchObject({ code: 'precondition_failed' });
    expect(server.requests).toHaveLength(2);
  },
);
