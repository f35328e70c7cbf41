import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { createStorage, parseConfig } from '@coffer/runtime';
import { expect, it } from 'vitest';

import { describeStores } from '../../testing/stores.ts';
import type { Bench } from '../../testing/stores.ts';

describeStores('presign', (bench, store) => {
  /** With the local backend, runs a server for its URLs. */
  const serving = async (work: (bench: Bench, env: Readonly<Record<string, string>>) => Promise<void>): Promise<void> => {
    if (store !== 'local') return work(bench(), {});
    const server = createServer((request, response) => void localHttp?.(request, response)).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const env = { PUBLIC_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
    const { localHttp, close } = await createStorage(parseConfig({ ...bench().env, ...env }, { serve: false }));
    try {
      await work(bench(), env);
    } finally {
      await close();
      server.close();
      server.closeAllConnections();
    }
  };
  const key = "folder/it's ünï.txt";

  it('prints a URL that downloads', async () => {
    await serving(async ({ storage, coffer }, env) => {
      await storage.uploadFile({ key, body: 'Hello' });
      const { code, stdout, stderr } = await coffer(['presign', key, '--expires', '60'], env);
      expect(code).toBe(0);
      expect(stderr).toMatch(/^The URL works for 60 seconds, until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\.\n/);
      expect(stderr.includes('Coffer server')).toBe(store === 'local');
      expect(await (await fetch(stdout.trim())).text()).toBe('Hello');
    });
  });

  it('prints what uploads a file of the announced type, and no other', async () => {
    await serving(async ({ bucket, storage, coffer }, env) => {
      const args = ['presign', key, '--put', '--content-type', 'text/plain', '--size', '5', '--expires', '1800'];
      const { json } = await coffer([...args, '--json'], env);
      expect(json).toMatchObject({ method: 'PUT', fields: {}, headers: { 'Content-Type': 'text/plain' }, expires_in: 1800, bucket, key });
      const put = (body: string, type: string): Promise<Response> =>
        fetch(json.url, { method: 'PUT', body, headers: { ...(json.headers as Record<string, string>), 'Content-Type': type } });
      expect((await put('Hello', 'text/html')).ok).toBe(false);
      expect((await put('Hello!', 'text/plain')).ok).toBe(false);
      expect((await put('Hello', 'text/plain')).ok).toBe(true);
      expect((await storage.downloadFile(key)).toString()).toBe('Hello');
      const { stdout, stderr } = await coffer(args, env);
      expect(stdout).toMatch(/^http\S+\n$/);
      expect(stderr).toMatch(/^Upload with: curl -H 'Content-Type: text\/plain'.* -T FILE 'http\S+'\n/);
      const quoted = await coffer(['presign', key, '--put', '--content-type', "text/it's"], env);
      expect(quoted.stderr).toContain(String.raw`-H 'Content-Type: text/it'\''s'`);
    });
  });

  it('reports how long the URL is really valid', async () => {
    const { coffer } = bench();
    const clamped = await coffer(['presign', 'a', '--expires', '9999999', '--json']);
    expect(clamped.json).toMatchObject({ method: 'GET', expires_in: 604_800, headers: {}, fields: {} });
    expect(clamped.stderr).toContain('The URL works for 604,800 seconds, the longest that is possible, until ');
    expect((await coffer(['presign', 'a', '--json'], { STORAGE_PRESIGN_EXPIRES: '77' })).json.expires_in).toBe(77);
  });

  it('refuses what has no meaning', async () => {
    const { coffer } = bench();
    for (const args of [['--expires', '0'], ['--size', '3'], ['--expires', 'soon'], ['b']])
      expect(await coffer(['presign', 'a', ...args])).toMatchObject({ code: 2, stdout: '' });
    expect(await coffer(['presign', '../a'])).toMatchObject({ code: 1, stderr: expect.stringContaining('invalid_key: ') as string });
  });
});
