import { randomBytes } from 'node:crypto';

import { noContext, readAll } from '@coffer/storage-core';
import type { ObjectStream, StorageBackend } from '@coffer/storage-core';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { openStore } from '../open-store.ts';
import { awsProfile } from '../profile.ts';
import { eventually } from '../testing/eventually.ts';
import { faultBench, transports } from '../testing/fault-bench.ts';

const options = { contentType: 'text/plain' };
const small = Buffer.from('small');
const large = randomBytes(9 * 2 ** 20);
const hour = 3_600_000;

describe.each(transports)('when our clock is wrong (%s)', (transport) => {
  const bench = faultBench(transport);
  const setClock = (hours: number): void => void vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + hours * hour });
  const calls: readonly [string, (backend: StorageBackend) => Promise<unknown>][] = [
    ['put', (backend) => backend.put(bench.at('put'), { kind: 'buffer', data: small }, options, noContext)],
    ['get', (backend) => backend.get(bench.at('small'), {}, noContext).then((result) => readAll((result as ObjectStream).body))],
    ['head', (backend) => backend.head(bench.at('small'), noContext)],
    ['list', (backend) => backend.list(bench.bucket, { maxKeys: 1 }, noContext)],
    ['put by parts', (backend) => backend.put(bench.at('large'), { kind: 'buffer', data: large }, options, noContext)],
    ['delete', (backend) => backend.delete(bench.at('put'), noContext)],
  ];

  beforeAll(() => bench.direct.put(bench.at('small'), { kind: 'buffer', data: small }, options, noContext));
  beforeEach(() => void vi.useRealTimers());
  afterEach(() => void vi.useRealTimers());

  it.each(calls)('by hours, %s succeeds nevertheless', async (_name, call) => {
    for (const hours of [3, -5]) {
      setClock(hours);
      await call(bench.through({ maxRetries: 1 }));
      vi.useRealTimers();
    }
  });

  it('what was learnt is kept: later calls need one attempt each', async () => {
    setClock(7);
    const backend = bench.through({ maxRetries: 1 });
    await calls[0]![1](backend);
    expect(bench.proxy.count('PUT')).toBe(2);
    const before = bench.proxy.requests.length;
    for (const [, call] of calls.slice(0, 4)) await call(backend);
    expect(bench.proxy.requests.length - before).toBe(4);
  });

  it('for a while only, calls succeed afterwards, too', async () => {
    setClock(3);
    const backend = bench.through({ maxRetries: 1 });
    await calls[2]![1](backend);
    vi.useRealTimers();
    await calls[2]![1](backend);
    await calls[0]![1](backend);
    expect(bench.proxy.count('HEAD')).toBe(4);
    expect(bench.proxy.count('PUT')).toBe(1);
  });

  it.each([1, -1])('and is set by %i hours while the server is silent, a call fails with read_timeout all the same', async (hours) => {
    const backend = bench.through({ timeout: 1 });
    await calls[2]![1](backend);
    bench.proxy.faults.answer = () => 'silence';
    const unanswered = calls[2]![1](backend).catch((error: unknown) => error);
    await eventually(() => bench.proxy.count('HEAD')).toBe(2);
    setClock(hours);
    expect(await unanswered).toMatchObject({ code: 'read_timeout' });
  });

  it('by days, a sweep leaves recent uploads and removes old ones', async () => {
    const store = openStore(bench.account);
    const [uploading, probing] = [bench.at('under-way'), { bucket: bench.bucket, key: `.coffer-probe-${'0'.repeat(16)}/object` }];
    await store.transport.createUpload(uploading, options, noContext);
    await bench.direct.put(probing, { kind: 'buffer', data: small }, options, noContext);
    setClock(72);
    const sweep = (olderThan: number) =>
      bench.through({ maxRetries: 1 }).maintenance!.sweep({ olderThan, bucket: bench.bucket }, noContext);
    expect(await sweep(86_400)).toMatchObject({ removed: 0 });
    vi.useRealTimers();
    setClock(-72);
    await expect.poll(() => sweep(0)).toMatchObject({ removed: 1 }); // the server's times are whole seconds
    vi.useRealTimers();
    await store.transport.delete(probing, noContext);
    store.connection.close();
  });

  it('many calls at once all succeed', async () => {
    setClock(-3);
    const backend = bench.through({ maxRetries: 1 });
    await Promise.all(Array.from({ length: 10 }, () => calls[2]![1](backend)));
  });

  it('is not set by the page of somebody else, whose own clock is wrong', async () => {
    const backend = bench.through({}, { profile: awsProfile });
    bench.proxy.faults.answer = () => ({
      text: 'HTTP/1.1 403 Forbidden\r\nDate: Thu, 01 Jan 1970 00:00:10 GMT\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<h1>Log in</h1>',
    });
    await expect(calls[3]![1](backend)).rejects.toMatchObject({ code: 'storage_unavailable' });
    delete bench.proxy.faults.answer;
    const { url } = (await backend.presign?.download(bench.at('small'), { expiresIn: 60 }, noContext)) ?? { url: '' };
    expect(await (await fetch(url)).text()).toBe('small');
  });

  it.each([6, -6])('presigned requests are valid by the clock of the server (%i hours)', async (hours) => {
    setClock(hours);
    const backend = bench.through({ maxRetries: 1 }, { profile: awsProfile });
    await calls[2]![1](backend);
    const { url } = (await backend.presign?.download(bench.at('small'), { expiresIn: 60 }, noContext)) ?? { url: '' };
    expect(await (await fetch(url)).text()).toBe('small');
    const upload = (method: 'PUT' | 'POST') =>
      backend.presign?.upload(bench.at('presigned'), { method, contentType: 'text/plain', size: 5, expiresIn: 60 }, noContext);
    const put = await upload('PUT');
    expect((await fetch(put!.url, { method: 'PUT', body: small, headers: { ...put!.headers } })).status).toBe(200);
    const post = await upload('POST');
    const form = new FormData();
    for (const [name, value] of Object.entries(post!.fields)) form.append(name, value);
    form.append('file', new Blob([small]));
    expect((await fetch(post!.url, { method: 'POST', body: form })).status).toBe(204);
  });
});
