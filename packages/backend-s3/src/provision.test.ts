import { randomBytes } from 'node:crypto';

import { PutBucketCorsCommand } from '@aws-sdk/client-s3';
import type { CORSRule } from '@aws-sdk/client-s3';
import { startS3 } from '@coffer/fixtures';
import { noContext } from '@coffer/storage-core';
import type { StorageBackend } from '@coffer/storage-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { s3Backend } from './backend.ts';
import { corsFor } from './cors.ts';
import { openStore } from './open-store.ts';
import type { S3BackendOptions } from './options.ts';
import { awsProfile } from './profile.ts';
import type { EndpointProfile } from './profile.ts';
import type { Store } from './store.ts';
import { transports } from './testing/fault-bench.ts';
import { behindFront, errorDocument } from './testing/front.ts';
import { newStage } from './testing/lean.ts';
import { proxyTo } from './testing/proxy.ts';
import { answering, ok } from './testing/scripted.ts';
import { accountOn, ifAvailable, sdkOn } from './testing/server.ts';

const idless = (rule: unknown): object => ({ ...(rule as object), id: undefined });
const newName = (): string => `provision-${randomBytes(6).toString('hex')}`;

describe.each(transports)('CORS rules of a bucket that is provisioned (%s)', (transport) => {
  let account: S3BackendOptions;
  let backend: StorageBackend;
  let store: Store;
  let sdk: ReturnType<typeof sdkOn>;
  beforeAll(async () => {
    account = { ...(await accountOn(await startS3('ceph'))), transport };
    [backend, store, sdk] = [s3Backend(account), openStore(account), sdkOn(account)];
  });
  afterAll(async () => {
    sdk.close();
    store.connection.close();
    await backend.close();
  });

  /** @returns the rules of the bucket afterwards */
  async function provisioned(rules: readonly CORSRule[], ...origins: readonly (readonly string[])[]): Promise<readonly unknown[]> {
    const bucket = newName();
    await backend.buckets?.create(bucket, {}, noContext);
    if (rules.length > 0) {
      const configuration = { CORSRules: [...rules] };
      await sdk.client.send(new PutBucketCorsCommand({ Bucket: bucket, CORSConfiguration: configuration }));
    }
    for (const corsOrigins of origins) await backend.buckets?.provision?.(bucket, { corsOrigins }, noContext);
    const held = await store.administration.getCors(bucket, noContext);
    await backend.buckets?.delete(bucket, { force: true }, noContext);
    return held.map(({ raw: _raw, ...rule }) => ({ ...rule, methods: rule.methods.toSorted(), exposed: rule.exposed.toSorted() }));
  }

  const ours = (...origins: string[]): object => {
    const { maxAge: _maxAge, ...rule } = corsFor(origins);
    return { ...rule, methods: rule.methods.toSorted(), exposed: rule.exposed.toSorted() };
  };
  it('keep a rule made by hand that equals ours but has other origins', async () => {
    const byHand = { ...ours('https://app.example'), id: undefined };
    const { methods, headers, exposed } = corsFor([]);
    const rule: CORSRule = {
      AllowedOrigins: ['https://app.example'],
      AllowedMethods: [...methods],
      AllowedHeaders: [...headers],
      ExposeHeaders: [...exposed],
    };
    expect((await provisioned([rule], ['https://b.example'])).map(idless)).toEqual([byHand, ours('https://b.example')].map(idless));
  });

  const reading: CORSRule = { AllowedOrigins: ['https://a.example'], AllowedMethods: ['GET'], ExposeHeaders: ['x-a'] };
  const held = { origins: ['https://a.example'], methods: ['GET'], headers: [], exposed: ['x-a'] };

  it('are added to those that are there', async () => {
    expect(await provisioned([reading], ['*'])).toEqual([held, ours('*')]);
  });

  it('follow what is configured', async () => {
    expect(await provisioned([reading], ['*'], ['*'], ['https://b.example'])).toEqual([held, ours('https://b.example')]);
  });

  it('are extended with newly exposed headers, and keep those added by hand', async () => {
    const { id: ID, methods, headers, exposed } = corsFor([]) as ReturnType<typeof corsFor> & { id: string };
    const older: CORSRule = {
      ID,
      AllowedOrigins: ['*'],
      AllowedMethods: [...methods],
      AllowedHeaders: [...headers],
      ExposeHeaders: ['ETag'],
    };
    expect(await provisioned([older], ['*'])).toEqual([ours('*')]);
    const byHand = { AllowedMethods: [...methods, 'DELETE'], ExposeHeaders: ['x-a', 'etag'] };
    const extended = { methods: [...methods, 'DELETE'].toSorted(), exposed: [...exposed, 'x-a'].toSorted() };
    expect(await provisioned([{ ...older, ...byHand }], ['*'])).toEqual([{ ...ours('*'), ...extended }]);
    expect(await provisioned([{ ...older, ...byHand }], ['https://b.example'])).toEqual([{ ...ours('https://b.example'), ...extended }]);
    const more = [...exposed, 'x-a'];
    expect(await provisioned([{ ...older, ExposeHeaders: more }], ['*'])).toEqual([{ ...ours('*'), exposed: more.toSorted() }]);
  });

  it.each<[string, Partial<CORSRule>]>([
    ['is for another scheme', { AllowedOrigins: ['http://*.example'] }],
    ['is for another domain', { AllowedOrigins: ['https://*.example.com'] }],
    ['is for another host', { AllowedOrigins: ['https://b'] }],
    ['is for one of two origins', { AllowedOrigins: ['https://a.example'] }],
    ['lacks a method', { AllowedMethods: ['GET', 'HEAD', 'PUT'] }],
    ['lacks headers', { AllowedHeaders: ['content-type'] }],
  ])('are added to one that %s', async (_what, theirs) => {
    const all: CORSRule = { AllowedOrigins: ['https://*.example'], AllowedMethods: ['GET', 'HEAD', 'PUT', 'POST'], AllowedHeaders: ['*'] };
    const origins = ['https://a.example', 'https://b.example'];
    expect((await provisioned([{ ...all, ...theirs }], origins)).slice(1)).toEqual([ours(...origins)]);
  });

  it.each(['*', 'https://*.example', 'https://b.example'])('stay unchanged if they allow %s everything', async (AllowedOrigin) => {
    const methods = ['DELETE', 'GET', 'HEAD', 'POST', 'PUT'];
    const rule: CORSRule = { AllowedOrigins: [AllowedOrigin], AllowedMethods: methods, AllowedHeaders: ['*'] };
    expect(await provisioned([rule], ['https://b.example'])).toEqual([{ origins: [AllowedOrigin], methods, headers: ['*'], exposed: [] }]);
  });
});

it.each(transports)('a bucket that has been provisioned is not written to again (%s)', async (transport) => {
  const written: string[] = [];
  const account = await behindFront(await startS3('ceph'), (method, path) => {
    if (method === 'PUT' && path.startsWith('/provision-')) written.push(path.split('?')[1] ?? '');
    return undefined;
  });
  const backend = s3Backend({ ...account, transport });
  const bucket = newName();
  await backend.buckets?.create(bucket, {}, noContext);
  const corsOrigins = ['https://b.example', 'https://a.example', 'https://b.example'];
  for (let round = 0; round < 3; round++) await backend.buckets?.provision?.(bucket, { corsOrigins }, noContext);
  expect(written.filter((query) => query !== '')).toEqual([expect.stringContaining('cors'), expect.stringContaining('lifecycle')]);
  await backend.buckets?.delete(bucket, { force: true }, noContext);
  await backend.close();
});

const minio = await ifAvailable(startS3('minio'));

describe.skipIf(typeof minio === 'string')('credentials that may not make buckets to try things out', () => {
  it.each(transports)('provision buckets of a server without such rules (%s)', async (transport) => {
    if (typeof minio === 'string') return;
    const denied = '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>';
    const account = await behindFront(minio, (method, path) =>
      method === 'PUT' && path.startsWith('/coffer-probe-') ? { status: 403, body: denied } : undefined,
    );
    const backend = s3Backend({ ...account, transport });
    const bucket = newName();
    await backend.buckets?.create(bucket, {}, noContext);
    await backend.buckets?.provision?.(bucket, { corsOrigins: ['*'] }, noContext);
    expect(await backend.lifecycle?.getLifecycle(bucket, noContext)).toEqual([]);
    await backend.buckets?.delete(bucket, { force: true }, noContext);
    await backend.close();
  });
});

describe.skipIf(typeof minio === 'string')('a server that says that it has no such rules', () => {
  it.each(transports)('is believed, and not asked again once that is known (%s)', async (transport) => {
    if (typeof minio === 'string') return;
    const proxy = await proxyTo(minio.endpoint);
    const account = { ...(await accountOn(minio)), endpoint: proxy.endpoint, transport };
    const bucket = newName();
    const asked = async (profile?: EndpointProfile): Promise<readonly string[]> => {
      const backend = s3Backend(account, profile);
      const before = proxy.requests.length;
      await backend.buckets?.provision?.(bucket, { corsOrigins: ['*'] }, noContext);
      await backend.close();
      return proxy.requests.slice(before).map(({ method, target }) => `${method} ${/cors|lifecycle/.exec(target)?.[0] ?? ''}`.trimEnd());
    };
    const making = s3Backend(account);
    await making.buckets?.create(bucket, {}, noContext);
    expect(await asked()).toEqual(['GET cors', 'PUT cors', 'HEAD', 'GET lifecycle', 'PUT lifecycle']);
    expect(await asked({ ...awsProfile, cors: false, abortRule: false })).toEqual(['HEAD']);
    await making.buckets?.delete(bucket, {}, noContext);
    await making.close();
    await proxy.close();
  });
});

describe('credentials that may write nothing to try things out', () => {
  const newBackend = async (cors: { readonly status: number; readonly code: string }): Promise<StorageBackend> => {
    const account = await behindFront(await startS3('ceph'), (method, path) => {
      if (path.includes('coffer-probe-')) return { status: 403, body: errorDocument('AccessDenied') };
      return method === 'PUT' && path.includes('?cors') ? { status: cors.status, body: errorDocument(cors.code) } : undefined;
    });
    return s3Backend(account);
  };

  it.each([
    ['provision buckets of a server without such rules', { status: 501, code: 'NotImplemented' }, undefined],
    ['are told which permission they lack', { status: 403, code: 'AccessDenied' }, expect.stringMatching('s3:PutBucketCORS')],
  ])('%s', async (_what, cors, message: unknown) => {
    const backend = await newBackend(cors);
    const bucket = newName();
    await backend.buckets?.create(bucket, {}, noContext);
    const provisioning = backend.buckets?.provision?.(bucket, { corsOrigins: ['*'] }, noContext);
    if (message === undefined) await provisioning;
    else await expect(provisioning).rejects.toMatchObject({ code: 'access_denied', message });
    await backend.buckets?.delete(bucket, {}, noContext);
    await backend.close();
  });
});

it.each(transports)('rules that cannot be read are not replaced (%s)', async (transport) => {
  let unread = 'cors';
  const written: string[] = [];
  const account = await behindFront(await startS3('ceph'), (method, path) => {
    if (method === 'PUT' && path.includes('?')) written.push(path);
    return method === 'GET' && path.includes(`?${unread}`) ? { status: 503, body: errorDocument('SlowDown') } : undefined;
  });
  const backend = s3Backend({ ...account, transport, maxRetries: 0 }, awsProfile);
  const bucket = newName();
  await backend.buckets?.create(bucket, {}, noContext);
  for (unread of ['cors', 'lifecycle']) {
    const provisioning = backend.buckets?.provision?.(bucket, { corsOrigins: ['*'] }, noContext);
    await expect(provisioning).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(written.filter((path) => path.includes(`?${unread}`))).toEqual([]);
  }
  await backend.buckets?.delete(bucket, { force: true }, noContext);
  await backend.close();
});

describe('the rules of AWS for small objects', () => {
  const { serve, backendTo, clear } = newStage();
  afterEach(clear);

  it.each(transports)('stay as they are when the abort of stale uploads is added (%s)', async (transport) => {
    const smallObjects = 'varies_by_storage_class';
    const header = 'x-amz-transition-default-minimum-object-size';
    const archive = '<Rule><ID>archive</ID><Filter/><Status>Enabled</Status><Expiration><Days>9</Days></Expiration></Rule>';
    const allowed = ['GET', 'HEAD', 'PUT', 'POST'].map((method) => `<AllowedMethod>${method}</AllowedMethod>`).join('');
    const cors = `<CORSRule><AllowedOrigin>*</AllowedOrigin>${allowed}<AllowedHeader>*</AllowedHeader></CORSRule>`;
    const server = await serve((request, response) => {
      if (request.method === 'PUT') return ok(request, response);
      const isCors = request.url?.includes('cors') === true;
      return isCors
        ? answering(`<CORSConfiguration>${cors}</CORSConfiguration>`)(request, response)
        : answering(`<LifecycleConfiguration>${archive}</LifecycleConfiguration>`, { [header]: smallObjects })(request, response);
    });
    await backendTo(server, { transport }).buckets?.provision?.('bucket', { corsOrigins: ['*'] }, noContext);
    const written = server.requests.filter(({ method }) => method === 'PUT');
    expect(written.map(({ headers }) => headers[header])).toEqual([smallObjects]);
  });
});

it("goes without CORS rules where those are of Google's kind, as long as nothing is known about the server", async () => {
  const cors = '<?xml version="1.0"?><CorsConfig><Cors><Origins><Origin>*</Origin></Origins></Cors></CorsConfig>';
  const written: string[] = [];
  const account = await behindFront(await startS3('ceph'), (method, path) => {
    if (method === 'PUT' && path.startsWith('/provision-')) written.push(path.split('?')[1] ?? '');
    return method === 'GET' && path.includes('?cors') ? { status: 200, body: cors } : undefined;
  });
  const backend = s3Backend(account);
  const bucket = newName();
  await backend.buckets?.create(bucket, {}, noContext);
  await backend.buckets?.provision?.(bucket, { corsOrigins: ['*'] }, noContext);
  expect(written).toEqual(['', 'lifecycle=']);
  await backend.buckets?.delete(bucket, {}, noContext);
  await backend.close();
});

describe('a rule that is refused', () => {
  const refused = '<?xml version="1.0"?><Error><Code>InvalidArgument</Code></Error>';

  it('is ignored if the server has no such rules, even if the credentials may not read them', async () => {
    const denied = '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>';
    const account = await behindFront(await startS3('ceph'), (method, path) => {
      if (path.includes('?lifecycle')) return method === 'GET' ? { status: 403, body: denied } : { status: 400, body: refused };
      return undefined;
    });
    const backend = s3Backend(account);
    const bucket = newName();
    await backend.buckets?.create(bucket, {}, noContext);
    await backend.buckets?.provision?.(bucket, { corsOrigins: ['*'] }, noContext);
    await backend.buckets?.delete(bucket, {}, noContext);
    const gone = backend.buckets?.provision?.(bucket, { corsOrigins: ['*'] }, noContext);
    await expect(gone).rejects.toMatchObject({ code: 'no_such_bucket' });
    await backend.close();
  });

  it('fails where the server takes such rules', async () => {
    const account = await behindFront(await startS3('ceph'), (method, path) =>
      method === 'PUT' && /^\/provision-.*\?cors/.test(path) ? { status: 400, body: refused } : undefined,
    );
    const backend = s3Backend(account);
    const bucket = newName();
    await backend.buckets?.create(bucket, {}, noContext);
    const set = backend.buckets?.provision?.(bucket, { corsOrigins: ['*'] }, noContext);
    await expect(set).rejects.toMatchObject({ code: 'invalid_argument' });
    await backend.buckets?.delete(bucket, {}, noContext);
    await backend.close();
  });
});
