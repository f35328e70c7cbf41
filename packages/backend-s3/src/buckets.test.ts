import { randomBytes } from 'node:crypto';

import {
  CreateMultipartUploadCommand,
  GetBucketLifecycleConfigurationCommand,
  PutBucketLifecycleConfigurationCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { startS3 } from '@coffer/fixtures';
import { noContext, observe, StorageService, wrapBackend } from '@coffer/storage-core';
import { describe, expect, it } from 'vitest';

import { s3Backend } from './backend.ts';
import { bucketOperations } from './buckets.ts';
import type { S3BackendOptions } from './options.ts';
import type { Store } from './store.ts';
import { transports } from './testing/fault-bench.ts';
import { proxyTo } from './testing/proxy.ts';
import { accountOn, ifAvailable, sdkOn } from './testing/server.ts';

const servers = await Promise.all([ifAvailable(startS3('ceph')), ifAvailable(startS3('minio'))]);
const newName = (): string => `buckets-${randomBytes(6).toString('hex')}`;
const text = { kind: 'buffer', data: Buffer.from('x') } as const;
const options = { contentType: 'text/plain' };

const cases = servers
  .filter((server) => typeof server !== 'string')
  .flatMap((server) => transports.map((transport) => ({ server, transport, title: `buckets on ${server.name} (${transport})` })));

describe.each(cases)('$title', ({ server, transport }) => {
  const newAccount = async (): Promise<S3BackendOptions> => ({ ...(await accountOn(server)), transport });

  it('are deleted by force with versions, delete markers, open uploads, and keys below other keys', async () => {
    const account = await newAccount();
    const backend = s3Backend(account);
    const bucket = newName();
    await backend.buckets?.create(bucket, {}, noContext);
    const keys = ['x', 'x/y', 'x/y/z', ' ', 'a+b', 'dir/', '日本\uffff'];
    for (const key of keys) await backend.put({ bucket, key }, text, options, noContext);
    await backend.versioning?.setVersioning(bucket, true, noContext);
    for (const key of keys) await backend.put({ bucket, key }, text, options, noContext);
    for (const key of ['x', 'x/y', ' ']) await backend.delete({ bucket, key }, noContext);
    const sdk = sdkOn(account);
    await sdk.client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: 'open/upload' }));
    await expect(backend.buckets?.delete(bucket, {}, noContext)).rejects.toMatchObject({ code: 'bucket_not_empty' });
    await backend.buckets?.delete(bucket, { force: true }, noContext);
    await expect(backend.buckets?.head(bucket, noContext)).rejects.toMatchObject({ code: 'no_such_bucket' });
    sdk.close();
    await backend.close();
  });

  it('are deleted by force with keys of other clients that Coffer would not accept', async () => {
    const account = await newAccount();
    const backend = s3Backend(account);
    const bucket = newName();
    await backend.buckets?.create(bucket, {}, noContext);
    const sdk = sdkOn(account);
    const keys = ['a\u001bb', 'a\u0001', 'line\nbreak', 'return\rin', 'tab\there', '\ttab', '/a', 'a/../b'];
    // A server may refuse some of them, and then need not delete them.
    for (const Key of keys) await sdk.client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: 'x' })).catch(() => {});
    await backend.buckets?.delete(bucket, { force: true }, noContext);
    await expect(backend.buckets?.head(bucket, noContext)).rejects.toMatchObject({ code: 'no_such_bucket' });
    sdk.close();
    await backend.close();
  });

  it('are checked for existence with one request, however many buckets there are', async () => {
    const proxy = await proxyTo(server.endpoint);
    const backend = s3Backend({ ...(await newAccount()), endpoint: proxy.endpoint });
    const [there, missing] = [newName(), newName()];
    await backend.buckets?.create(there, {}, noContext);
    const before = proxy.requests.length;
    const counted: string[] = [];
    const counting = wrapBackend(backend, observe({ operation: ({ operation, outcome }) => void counted.push(`${operation} ${outcome}`) }));
    const storage = new StorageService({ backend: counting });
    expect(await storage.bucketExists(missing)).toBe(false);
    await expect(storage.requireBucket(missing)).rejects.toMatchObject({
      code: 'no_such_bucket',
      message: `There is no bucket "${missing}".`,
    });
    await storage.ensureBucket(there);
    await new StorageService({ backend: counting }).requireBucket(there);
    expect(counted).toEqual(['error', 'error', 'success', 'success'].map((outcome) => `bucket_info ${outcome}`));
    const asked = [missing, missing, there, there].map((bucket) => `HEAD /${bucket}`);
    expect(proxy.requests.slice(before).map(({ method, target }) => `${method} ${target.replace(/\/$/, '')}`)).toEqual(asked);
    await backend.buckets?.delete(there, {}, noContext);
    await backend.close();
    await proxy.close();
  });

  it('learn only once, not for each bucket, that the server does not name regions in HeadBucket', async () => {
    const proxy = await proxyTo(server.endpoint);
    const backend = s3Backend({ ...(await newAccount()), endpoint: proxy.endpoint });
    const [one, other] = [newName(), newName()];
    const made = await backend.buckets?.create(one, {}, noContext);
    const before = proxy.requests.length;
    expect((await backend.buckets?.create(other, {}, noContext))?.region).toBe(made?.region);
    const seen = proxy.requests.slice(before).map(({ method, target }) => `${method} ${/location/.exec(target)?.[0] ?? ''}`.trimEnd());
    expect(seen).toEqual(['HEAD', 'PUT', 'GET location']);
    for (const bucket of [one, other]) await backend.buckets?.delete(bucket, {}, noContext);
    await backend.close();
    await proxy.close();
  });

  it('are deleted after one look if empty, by a process that knows nothing of the server yet', async () => {
    const proxy = await proxyTo(server.endpoint);
    const backend = s3Backend({ ...(await newAccount()), endpoint: proxy.endpoint });
    const bucket = newName();
    await backend.buckets?.create(bucket, {}, noContext);
    await backend.put({ bucket, key: 'a' }, { kind: 'buffer', data: Buffer.from('a') }, { contentType: 'text/plain' }, noContext);
    const before = proxy.requests.length;
    await expect(backend.buckets?.delete(bucket, {}, noContext)).rejects.toMatchObject({ code: 'bucket_not_empty' });
    await backend.delete({ bucket, key: 'a' }, noContext);
    await backend.buckets?.delete(bucket, {}, noContext);
    expect(proxy.requests.slice(before).map(({ method }) => method)).toEqual(['GET', 'DELETE', 'GET', 'DELETE']);
    await backend.close();
    await proxy.close();
  });

  it('are created in the configured region on a server with a single region, which refuses unknown regions', async () => {
    const backend = s3Backend({ ...(await newAccount()), region: server.kind === 'minio' ? 'us-east-1' : 'eu-central-1' });
    const bucket = newName();
    await backend.buckets?.create(bucket, {}, noContext);
    expect((await backend.buckets?.head(bucket, noContext))?.region).toMatch(/./);
    await backend.buckets?.delete(bucket, {}, noContext);
    if (server.kind === 'ceph') {
      await expect(backend.buckets?.create(newName(), { region: 'mars-1' }, noContext)).rejects.toMatchObject({ code: 'invalid_argument' });
    }
    await backend.close();
  });

  it('report their actual region, even if another one was requested', async () => {
    const backend = s3Backend(await newAccount());
    const bucket = newName();
    const region = server.kind === 'minio' ? 'eu-west-1' : 'us-east-1';
    const made = await backend.buckets?.create(bucket, { region }, noContext);
    expect(made?.region).toBe((await backend.buckets?.head(bucket, noContext))?.region);
    await backend.buckets?.delete(bucket, {}, noContext);
    await backend.close();
  });

  it('are deleted by force with delete markers of odd keys that have no version id', async () => {
    const backend = s3Backend(await newAccount());
    const bucket = newName();
    await backend.buckets?.create(bucket, {}, noContext);
    await backend.versioning?.setVersioning(bucket, false, noContext);
    for (const key of [' a', 'a ']) {
      await backend.put({ bucket, key }, text, options, noContext);
      await backend.delete({ bucket, key }, noContext);
    }
    await backend.versioning?.setVersioning(bucket, true, noContext);
    await backend.buckets?.delete(bucket, { force: true }, noContext);
    await expect(backend.buckets?.head(bucket, noContext)).rejects.toMatchObject({ code: 'no_such_bucket' });
    await backend.close();
  });

  it('accept no lifecycle rule that the server would store only in part', async () => {
    const backend = s3Backend(await newAccount());
    const bucket = newName();
    await backend.buckets?.create(bucket, {}, noContext);
    const rules = [{ id: 'both', prefix: '', expireDays: 3, abortMultipartDays: 2 }];
    const set = backend.lifecycle?.setLifecycle(bucket, rules, noContext);
    if (server.kind === 'minio') await expect(set).rejects.toMatchObject({ code: 'not_supported' });
    else await set;
    expect(await backend.lifecycle?.getLifecycle(bucket, noContext)).toEqual(server.kind === 'minio' ? [] : rules);
    await backend.buckets?.delete(bucket, {}, noContext);
    await backend.close();
  });

  it('keep what Coffer does not know of a lifecycle rule that is given back, and refuse one that would then delete more', async () => {
    const account = await newAccount();
    const [backend, sdk] = [s3Backend(account), sdkOn(account)];
    const bucket = newName();
    await backend.buckets?.create(bucket, {}, noContext);
    const narrow = { Prefix: 'a/', Tags: [{ Key: 'temporary', Value: 'yes' }] };
    const Rules = [
      { ID: 'tagged', Status: 'Enabled' as const, Filter: { And: narrow }, Expiration: { Days: 1 } },
      { ID: 'dated', Status: 'Enabled' as const, Filter: { Prefix: 'b/' }, Expiration: { Date: new Date('2090-01-01T00:00:00Z') } },
      { ID: 'off', Status: 'Disabled' as const, Filter: { Prefix: 'd/' }, Expiration: { Days: 4 } },
    ];
    const written = async (): Promise<unknown> =>
      (await sdk.client.send(new GetBucketLifecycleConfigurationCommand({ Bucket: bucket }))).Rules;
    await sdk.client.send(new PutBucketLifecycleConfigurationCommand({ Bucket: bucket, LifecycleConfiguration: { Rules } }));
    const before = await written();
    const rules = await backend.lifecycle!.getLifecycle(bucket, noContext);
    expect(rules.toSorted((a, b) => (a.id < b.id ? 1 : -1))).toEqual([
      { id: 'tagged', prefix: 'a/', expireDays: 1 },
      { id: 'dated', prefix: 'b/' },
    ]);
    const more = { id: 'more', prefix: 'c/', expireDays: 2 };
    await backend.lifecycle!.setLifecycle(bucket, [...rules, more], noContext);
    expect(await written()).toEqual(expect.arrayContaining(before as unknown[]));
    expect(await backend.lifecycle!.getLifecycle(bucket, noContext)).toContainEqual(more);
    const changed = [more, ...rules.map((rule) => ({ ...rule, expireDays: 5 }))];
    await expect(backend.lifecycle!.setLifecycle(bucket, changed, noContext)).rejects.toMatchObject({
      code: 'not_supported',
      message: expect.stringMatching(/"tagged".*tags/) as string,
    });
    expect(await written()).toEqual(expect.arrayContaining(before as unknown[]));
    await expect(backend.lifecycle!.setLifecycle(bucket, [...rules, { id: 'idle', prefix: '' }], noContext)).rejects.toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('"idle"') as string,
    });
    await backend.lifecycle!.setLifecycle(bucket, [more], noContext);
    expect(await backend.lifecycle!.getLifecycle(bucket, noContext)).toEqual([more]);
    expect(await written()).toEqual(expect.arrayContaining((before as { ID: string }[]).filter(({ ID }) => ID === 'off')));
    await backend.lifecycle!.setLifecycle(bucket, [{ ...more, id: 'off' }], noContext);
    expect(await written()).toEqual([expect.objectContaining({ ID: 'off', Status: 'Enabled' })]);
    await backend.buckets?.delete(bucket, {}, noContext);
    sdk.close();
    await backend.close();
  });

  it('get rules for browsers and stale uploads, and keep the rules that they have', async () => {
    const backend = s3Backend(await newAccount());
    const bucket = newName();
    await backend.buckets?.create(bucket, {}, noContext);
    await backend.lifecycle?.setLifecycle(bucket, [{ id: 'logs', prefix: 'logs/', expireDays: 3 }], noContext);
    for (const origin of ['*', 'https://app.example']) await backend.buckets?.provision?.(bucket, { corsOrigins: [origin] }, noContext);
    const rules = (await backend.lifecycle?.getLifecycle(bucket, noContext)) ?? [];
    expect(rules).toContainEqual({ id: 'logs', prefix: 'logs/', expireDays: 3 });
    expect(rules.filter((rule) => rule.abortMultipartDays === 1)).toHaveLength(server.kind === 'ceph' ? 1 : 0);
    for (const method of ['GET', 'HEAD', 'PUT', 'POST']) {
      const preflight = await fetch(`${server.endpoint}/${bucket}/key`, {
        method: 'OPTIONS',
        headers: { origin: 'https://app.example', 'access-control-request-method': method, 'access-control-request-headers': 'x-any' },
      });
      expect([200, 204]).toContain(preflight.status);
      expect(preflight.headers.get('access-control-allow-origin')).toMatch(/^(?:\*|https:\/\/app\.example)$/);
      expect(preflight.headers.get('access-control-allow-headers')?.toLowerCase()).toMatch(/^(?:\*|x-any)$/);
      if (server.kind === 'ceph') expect(preflight.headers.get('access-control-max-age')).toBe('3600');
    }
    await backend.buckets?.delete(bucket, { force: true }, noContext);
    await backend.close();
  });

  // If the environment names the server, tests know only one account on it.
  it.skipIf(server.external && server.kind === 'ceph')('that belong to somebody else exist already, and let nobody in', async () => {
    const [mine, theirs] = [s3Backend(await newAccount()), s3Backend(await newAccount())];
    const bucket = newName();
    await theirs.buckets?.create(bucket, {}, noContext);
    await expect(mine.buckets?.create(bucket, {}, noContext)).rejects.toMatchObject({ code: 'bucket_already_exists' });
    if (server.kind === 'ceph') {
      const at = { bucket, key: 'x' };
      await expect(mine.put(at, text, options, noContext)).rejects.toMatchObject({
        code: 'access_denied',
        message: expect.stringMatching(/s3:PutObject/) as string,
      });
      await expect(mine.buckets?.head(bucket, noContext)).rejects.toMatchObject({ code: 'access_denied' });
    }
    await theirs.buckets?.delete(bucket, {}, noContext);
    await Promise.all([mine.close(), theirs.close()]);
  });

  it('refuse ACLs before anything is written if the server ignores them, with or without a profile', async () => {
    const backend = s3Backend(await newAccount());
    const bucket = newName();
    const at = { bucket, key: 'x' };
    await backend.buckets?.create(bucket, {}, noContext);
    const put = backend.put(at, text, { ...options, acl: 'public-read' }, noContext);
    if (server.kind === 'ceph') {
      await put;
      expect((await fetch(`${server.endpoint}/${bucket}/x`)).status).toBe(200);
    } else {
      await expect(put).rejects.toMatchObject({ code: 'acl_not_supported' });
      await expect(backend.acl?.getObjectAcl(at, noContext)).rejects.toMatchObject({ code: 'acl_not_supported' });
      const upload = backend.presign?.upload(at, { expiresIn: 60, acl: 'public-read' }, noContext);
      await expect(upload).rejects.toMatchObject({ code: 'acl_not_supported' });
      await expect(backend.head(at, noContext)).rejects.toMatchObject({ code: 'file_not_found' });
    }
    await backend.buckets?.delete(bucket, { force: true }, noContext);
    await backend.close();
  });
});

describe('a bucket that is being created', () => {
  it('does not keep an aborted caller waiting', async () => {
    const silent = { transport: { headBucket: () => new Promise(() => {}) } } as unknown as Store;
    const operations = bucketOperations(silent);
    void operations.create('bucket', {}, noContext);
    const cancel = new AbortController();
    const second = operations.create('bucket', {}, { signal: cancel.signal });
    cancel.abort(new Error('no more'));
    await expect(second).rejects.toThrow('no more');
  });
});
