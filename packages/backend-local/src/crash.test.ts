import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import { noContext, readAll } from '@coffer/storage-core';
import { expect, it } from 'vitest';

import { localBackend } from './backend.ts';
import type { LocalBackend } from './backend.ts';
import { startChild } from './testing/child.ts';
import { filesIn, leftoversIn, scratch } from './testing/storage.ts';

const rounds = 10;

/** Reads every object and compares it with its row. @returns the sha256 of each key */
async function verified(backend: LocalBackend, prefix: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  let token: string | undefined;
  do {
    const page = await backend.list('bucket', { prefix, ...(token !== undefined && { continuationToken: token }) }, noContext);
    for (const { key, etag, size } of page.objects) {
      const result = await backend.get({ bucket: 'bucket', key }, {}, noContext);
      if (result.kind !== 'object') expect.fail();
      const data = await readAll(result.body);
      const hash = (algorithm: string): string => createHash(algorithm).update(data).digest('hex');
      expect([data.length, hash('md5'), hash('sha256')]).toEqual([size, etag, result.info.sha256]);
      found.set(key, hash('sha256'));
    }
    token = page.nextContinuationToken;
  } while (token !== undefined);
  return found;
}

it('a process that is killed while it writes loses nothing it acknowledged, and leaves no object that is not whole', async () => {
  const { path: root, remove } = await scratch();
  const first = localBackend({ root });
  await first.buckets!.create('bucket', {}, noContext);
  await first.close();
  for (let round = 0; round < rounds; round++) {
    const writer = startChild(new URL('./testing/writer.ts', import.meta.url), [root, `round-${round}`]);
    await writer.line('put');
    await delay(20 + Math.random() * 250);
    writer.process.kill('SIGKILL');
    expect(await writer.ended).toBe('SIGKILL');

    const acknowledged = new Map<string, string>();
    for (const line of writer.lines) {
      const [verb, key = '', sha256 = ''] = line.split(' ');
      if (verb === 'put' && sha256.length === 64) acknowledged.set(key, sha256);
      else if (verb === 'delete') acknowledged.delete(key);
    }
    const deleted = writer.lines.filter((line) => line.startsWith('delete ')).map((line) => line.slice('delete '.length));

    const backend = localBackend({ root });
    await backend.check(noContext);
    expect((await filesIn(root)).filter((path) => path.startsWith('.tmp'))).toEqual([]);
    const found = await verified(backend, `round-${round}/`);
    // Each worker may have completed its last delete without acknowledging it.
    const lost = [...acknowledged].filter(([key, sha256]) => found.get(key) !== sha256).map(([key]) => key);
    expect(lost.filter((key) => found.has(key) || Number(key.split('/')[2]) % 4 !== 3)).toEqual([]);
    expect(lost.length).toBeLessThanOrEqual(6);
    expect(deleted.filter((key) => found.has(key))).toEqual([]);
    await verified(backend, 'shared/');

    await backend.maintenance!.sweep({ olderThan: 0 }, noContext);
    expect(await leftoversIn(root, backend)).toEqual([]);
    await backend.close();
  }
  const last = localBackend({ root });
  expect((await verified(last, '')).size).toBeGreaterThan(rounds);
  await last.close();
  await remove();
});
