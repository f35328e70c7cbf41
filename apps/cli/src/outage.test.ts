import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { FailingProxy } from './testing/failing-proxy.ts';
import { objectsIn, putFiles } from './testing/files.ts';
import { openUploads } from './testing/open-uploads.ts';
import { describeServers } from './testing/stores.ts';

/** Milliseconds; four times as long as it takes to notice that nothing listens. */
const downMs = 1500;
const size = 50_000_000;

describeServers('a provider that is restarted', (bench) => {
  let proxy: FailingProxy;
  let through: { readonly STORAGE_S3_ENDPOINT: string };

  beforeEach(async () => {
    proxy = new FailingProxy(bench().env['STORAGE_S3_ENDPOINT'] ?? '', { downMs });
    await proxy.start();
    through = { STORAGE_S3_ENDPOINT: proxy.endpoint };
  });
  afterEach(() => proxy.stop());

  it('is waited for by an upload, of files and of stdin', async () => {
    const { folder, bucket, env, storage, coffer, cli } = bench();
    const bytes = randomBytes(size);
    await writeFile(join(folder, 'large'), bytes);

    proxy.failAfter(30_000_000);
    expect(await coffer(['upload', 'large'], through)).toMatchObject({ code: 0, stderr: '' });
    proxy.failAfter(30_000_000);
    const stdin = createReadStream(join(folder, 'large'));
    const piped = cli.start(['storage', 'upload', '-', '--key', 'piped'], { cwd: folder, env: { ...env, ...through }, stdin });
    expect(await piped.ended).toMatchObject({ code: 0, stderr: '' });

    expect(proxy.failures).toBe(2);
    for (const key of ['large', 'piped']) expect(bytes.equals(await storage.downloadFile({ key }))).toBe(true);
    expect(await openUploads(env, bucket)).toEqual([]);
  });

  it('is waited for by a download, into a file and to stdout', async () => {
    const { folder, storage, coffer } = bench();
    const bytes = randomBytes(size);
    await storage.uploadFile({ key: 'large', body: bytes });
    for (const output of [
      ['--output', 'file'],
      ['--output', '-'],
    ]) {
      proxy.failAfter(30_000_000);
      const ended = await coffer(['download', 'large', '--quiet', ...output], through);
      expect(ended.code).toBe(0);
      expect(ended.stderr).toMatch(output.includes('-') ? /^downloaded 1 object/ : /^$/);
    }
    expect(proxy.failures).toBe(2);
    expect(bytes.equals(await readFile(join(folder, 'file')))).toBe(true);
  });

  it('fails none of many files and copies', async () => {
    const { folder, bucket, storage, coffer } = bench();
    const names = Array.from({ length: 600 }, (_, id) => `${id}`);
    await putFiles(folder, Object.fromEntries(names.map((name) => [`tree/${name}`, `text of ${name}`])));
    // Bytes until the connection is lost: in the middle of the requests for single objects, some of which have been answered.
    const steps: readonly (readonly [bytes: number, args: readonly string[]])[] = [
      [300_000, ['upload', 'tree', '-r', '--prefix', 'a']],
      [450_000, ['copy', 'a', 'b', '-r']],
      [450_000, ['download', 'b', '-r', '--output', 'copy']],
    ];
    for (const [bytes, args] of steps) {
      proxy.failAfter(bytes);
      const { code, stderr } = await coffer([...args, '--quiet'], through);
      expect([args[0], code, stderr]).toEqual([args[0], 0, '']);
    }
    expect(proxy.failures).toBe(steps.length);
    expect(Object.keys(await objectsIn(storage, bucket))).toHaveLength(1200);
  });

  it('that never answered is reported at once', async () => {
    const { coffer } = bench();
    const { endpoint } = proxy;
    proxy.stop();
    const begun = performance.now();
    // A server that is expected back would be waited for half a minute; one that was never there, 3 s at most.
    const ended = await coffer(['list'], { STORAGE_S3_ENDPOINT: endpoint, STORAGE_MAX_RETRIES: '6' });
    expect(ended).toMatchObject({ code: 1, stderr: expect.stringMatching(/^storage_unavailable: /) as unknown });
    expect(performance.now() - begun).toBeLessThan(20_000);
  });
});
