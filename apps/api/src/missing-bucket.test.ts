import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

import { startS3, testDatabase } from '@coffer/fixtures';
import { beforeAll, expect, it, onTestFinished } from 'vitest';

import { send } from './testing/send.ts';
import { buildServer, dataDirectory, ServerProcess } from './testing/server-process.ts';
import { secret } from './testing/tokens.ts';

beforeAll(() => buildServer());

/** Waits until the log says so. */
async function told(server: ServerProcess): Promise<void> {
  while (!server.stdout.includes('there is no bucket')) await once(server.child.stdout!, 'data');
}

async function start(env: Record<string, string>): Promise<{ readonly server: ServerProcess; readonly url: string }> {
  const [data, database] = await Promise.all([dataDirectory(), testDatabase()]);
  const { endpoint, accessKey, secretKey } = await startS3('ceph');
  const server = new ServerProcess({
    PORT: '0',
    COFFER_DATA_DIR: data.path,
    DATABASE_URL: database.url,
    AUTH_JWT_SECRET: secret,
    STORAGE_BACKEND: 's3',
    STORAGE_S3_ENDPOINT: endpoint,
    STORAGE_S3_ACCESS_KEY: accessKey,
    STORAGE_S3_SECRET_KEY: secretKey,
    ...env,
  });
  onTestFinished(async () => {
    await server.stop('SIGKILL');
    await database.drop();
  });
  return { server, url: await server.listening() };
}

it('says in the log that the default bucket is missing, and how it comes to be there', async () => {
  const bucket = `coffer-missing-${randomBytes(4).toString('hex')}`;
  const { server } = await start({ STORAGE_BUCKET: bucket });
  await told(server);
  const line = server.stdout.split('\n').find((each) => each.includes('there is no bucket')) ?? '';
  expect(JSON.parse(line)).toMatchObject({
    level: 40,
    msg: `STORAGE_BUCKET: there is no bucket "${bucket}": create it with "coffer storage buckets create ${bucket}", or set STORAGE_AUTO_PROVISION=true`,
  });
  expect(await server.stop()).toBe(0);
});

it('says so too if the provider starts after the server', async () => {
  const { hostname, port } = new URL((await startS3('ceph')).endpoint);
  let asked = 0;
  const provider = createServer((socket) => {
    socket.on('error', () => {});
    if (asked++ === 0) return void socket.destroy();
    const ceph = connect(Number(port), hostname).on('error', () => socket.destroy());
    socket.pipe(ceph).pipe(socket);
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void provider.close());
  await once(provider, 'listening');
  const { server } = await start({
    STORAGE_S3_ENDPOINT: `http://127.0.0.1:${(provider.address() as AddressInfo).port}`,
    STORAGE_BUCKET: `coffer-missing-${randomBytes(4).toString('hex')}`,
    STORAGE_MAX_RETRIES: '0',
  });
  await told(server);
  expect(asked).toBeGreaterThan(1);
  expect(await server.stop()).toBe(0);
});

it.each([{ STORAGE_AUTO_PROVISION: 'true' }, { STORAGE_ENABLE_MULTI_TENANCY: 'true' }])(
  'says nothing of it where it is created when it is needed, or not needed: %o',
  async (env) => {
    const { server, url } = await start({ STORAGE_BUCKET: `coffer-missing-${randomBytes(4).toString('hex')}`, ...env });
    // Asks the provider too, so that a look at the bucket would have its answer by then.
    for (let asked = 0; asked < 3; asked++) expect((await send(url, 'GET', '/health/ready')).status).toBe(200);
    expect(await server.stop()).toBe(0);
    expect(server.stdout).not.toContain('there is no bucket');
  },
);
