import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';

import { selfSigned } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import { afterEach, expect, it, onTestFinished, vi } from 'vitest';

import { connect } from '../http/connection.ts';
import { openStore } from '../open-store.ts';
import { settingsOf } from '../settings.ts';
import { newStage } from '../testing/lean.ts';
import { ok, refusal } from '../testing/scripted.ts';
import type { Answer } from '../testing/scripted.ts';
import { sdkDriver } from './driver.ts';

const { serve, open, clear } = newStage();
afterEach(clear);

it.each([
  ['a header', refusal(400, '', { 'x-amz-bucket-region': 'eu-west-1' })],
  ['a redirect', refusal(301, 'PermanentRedirect', { 'x-amz-bucket-region': 'eu-west-1' })],
  ['its words', refusal(400, 'AuthorizationHeaderMalformed', {}, '<Region>eu-west-1</Region>')],
])('the region of a server is taken from %s, once for all', async (_what, taught) => {
  const server = await serve(taught, ok);
  const store = openStore({ endpoint: server.endpoint, accessKey: 'who', secretKey: 'secret', maxRetries: 0, transport: 'sdk' });
  open.push(() => store.connection.close());
  const put = (bucket: string): Promise<unknown> =>
    store.transport.put({ bucket, key: 'a' }, { kind: 'buffer', data: Buffer.from('a') }, { contentType: 'a/b' }, noContext);
  await put('one');
  await put('two');
  const regions = server.requests.map(({ headers }) => /Credential=who\/\d+\/([^/]+)/.exec(headers.authorization ?? '')?.[1]);
  expect(regions).toEqual(['us-east-1', 'eu-west-1', 'eu-west-1']);
});

it('buckets of other regions, to which an endpoint of AWS does not lead, do not change the region of later requests', async () => {
  const redirected: (() => unknown)[] = [];
  const server = await serve((request, response) => {
    const isFar = request.url?.startsWith('/far') === true;
    const elsewhere = refusal(301, 'PermanentRedirect', { 'x-amz-bucket-region': 'eu-west-1' });
    if (request.headers.authorization?.includes('/us-east-1/') === true) return (isFar ? elsewhere : ok)(request, response);
    const refuse = (): unknown => refusal(400, 'AuthorizationHeaderMalformed', {}, '<Region>us-east-1</Region>')(request, response);
    if (!isFar) return refuse();
    redirected.push(refuse);
    return redirected.length === 2 && redirected.forEach((answer) => answer()); // both are under way at the same time
  });
  const keys = { accessKey: 'who', secretKey: 'secret' };
  const settings = { ...settingsOf({ endpoint: server.endpoint, ...keys, maxRetries: 0 }), isAws: true };
  const connection = connect(settings);
  open.push(() => connection.close());
  const { transport } = sdkDriver(settings, connection);
  const put = (bucket: string): Promise<unknown> =>
    transport.put({ bucket, key: 'a' }, { kind: 'buffer', data: Buffer.from('a') }, { contentType: 'a/b' }, noContext);
  const refused = ['far-1', 'far-2'].map((bucket) => expect(put(bucket)).rejects.toMatchObject({ code: 'storage_unavailable' }));
  await Promise.all(refused);
  await expect(put('near')).resolves.toMatchObject({ etag: 'made' });
  expect(server.requests).toHaveLength(3);
});

it.each([
  ['a success', [200]],
  ['a refusal that is made good', [503, 200]],
])(
  'a request of the SDK is not read any more once it is over, even if some of it was not sent: %s',
  async (_what, [early = 0, ...late]) => {
    let others = 0;
    const over = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    const answerEarly: Answer = (request, response) => {
      request.on('error', () => {});
      request.on('data', (chunk: Buffer) => (others += chunk.filter((byte) => byte !== 120).length));
      request.pause();
      request.on('end', closed.resolve);
      request.socket.on('close', closed.resolve);
      response.writeHead(early, { etag: '"made"' }).end();
      void over.promise.then(() => request.resume());
    };
    const server = await serve(answerEarly, ...late.map(() => ok));
    const { transport, connection } = openStore({ endpoint: server.endpoint, accessKey: 'who', secretKey: 'secret', transport: 'sdk' });
    open.push(() => connection.close());
    const data = Buffer.alloc(50_000_000, 'x');
    await transport.put({ bucket: 'bucket', key: 'key' }, { kind: 'buffer', data }, { contentType: 'text/plain' }, noContext);
    data.fill('y'); // by the next upload
    over.resolve();
    await closed.promise;
    expect(others).toBe(0);
    expect(server.requests).toHaveLength(1 + late.length);
  },
);

it.each([
  ['a success', (_request, response) => void response.writeHead(200, { etag: '"made"' }).end(), 'fulfilled'],
  ['a refusal', (_request, response) => void response.writeHead(412).end(), 'rejected'],
] satisfies [string, Answer, string][])(
  'an upload that is a stream holds no place once it is answered, even if some of it was not sent: %s',
  async (_what, early, outcome) => {
    const server = await serve(early, ok);
    const keys = { accessKey: 'who', secretKey: 'secret' };
    const store = openStore({ endpoint: server.endpoint, ...keys, transport: 'sdk', maxPoolConnections: 1, maxRetries: 0, timeout: 600 });
    open.push(() => store.connection.close());
    const at = { bucket: 'bucket', key: 'key' };
    const stream = Readable.from(
      Array.from({ length: 50 }, () => Buffer.alloc(1_000_000)),
      { objectMode: false },
    );
    const put = store.transport.put(at, { kind: 'stream', stream, size: 50_000_000 }, { contentType: 'text/plain' }, noContext);
    const [{ status }] = await Promise.allSettled([put]);
    stream.destroy();
    await store.transport.put(at, { kind: 'buffer', data: Buffer.from('next') }, { contentType: 'text/plain' }, noContext);
    expect([status, server.connections()]).toEqual([outcome, 2]);
  },
);

it.each(['lean', 'sdk'] as const)('a certificate of unknown origin is accepted only if none is verified (%s)', async (transport) => {
  const server = createServer(selfSigned(), ok).listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(() => server.close());
  const head = (verifySsl: boolean): Promise<unknown> => {
    const { port } = server.address() as AddressInfo;
    const keys = { accessKey: 'who', secretKey: 'secret' };
    const store = openStore({ endpoint: `https://127.0.0.1:${port}`, ...keys, transport, maxRetries: 1, verifySsl });
    open.push(() => store.connection.close());
    return store.transport.head({ bucket: 'bucket', key: 'key' }, noContext);
  };
  expect(await head(false)).toMatchObject({ etag: 'made' });
  const message = expect.stringContaining('certificate is not trusted') as string;
  await expect(head(true)).rejects.toMatchObject({ code: 'storage_unavailable', retryable: false, message });
});

it.each(['', 'http://127.0.0.1:9'])(
  'the endpoint is the configured one, whatever AWS_… variables say (endpoint "%s")',
  async (endpoint) => {
    vi.stubEnv('AWS_ENDPOINT_URL', 'http://127.0.0.1:1');
    vi.stubEnv('AWS_ENDPOINT_URL_S3', 'http://127.0.0.1:2');
    vi.stubEnv('AWS_USE_DUALSTACK_ENDPOINT', 'true');
    vi.stubEnv('AWS_USE_FIPS_ENDPOINT', 'true');
    onTestFinished(() => void vi.unstubAllEnvs());
    const urls = await Promise.all(
      (['lean', 'sdk'] as const).map(async (transport) => {
        const keys = { accessKey: 'who', secretKey: 'secret' };
        const store = openStore({ ...keys, transport, ...(endpoint !== '' && { endpoint }) });
        open.push(() => store.connection.close());
        return store.presigners.public.getUrl({ bucket: 'bucket', key: 'key' }, { expiresIn: 60 });
      }),
    );
    const [lean, sdk] = urls.map((url) => new URL(url));
    expect(sdk?.origin).toBe(lean?.origin);
    expect(sdk?.pathname).toBe(lean?.pathname);
  },
);
