import { randomBytes } from 'node:crypto';

import { noContext, readAll } from '@coffer/storage-core';
import type { ObjectStream } from '@coffer/storage-core';
import { beforeAll, describe, expect, it } from 'vitest';

import { faultBench, transports } from '../testing/fault-bench.ts';

const objects = { small: 'a small one', large: randomBytes(150_000).toString('hex') } as const;
const options = { contentType: 'text/plain' };

// As a proxy that compresses or caches may send answers that it received with a length.
describe.each(transports)('when answers come without their length (%s)', (transport) => {
  const bench = faultBench(transport);
  const etags: Record<string, string> = {};

  beforeAll(async () => {
    for (const [key, text] of Object.entries(objects)) {
      const { etag } = await bench.direct.put(bench.at(key), { kind: 'buffer', data: Buffer.from(text) }, options, noContext);
      etags[key] = etag;
    }
  });

  const head = (key: string, ...more: readonly string[]): string =>
    [`HTTP/1.1 200 OK`, `ETag: "${etags[key]!}"`, ...more, '', ''].join('\r\n');
  const chunked = (key: string, text: string): { readonly text: string } => {
    const parts = [text.slice(0, 4), text.slice(4), ''].map((part) => `${part.length.toString(16)}\r\n${part}\r\n`);
    return { text: head(key, 'Transfer-Encoding: chunked') + parts.join('') };
  };

  describe.each(Object.entries(objects))('a %s object', (key, text) => {
    const pulled = async (): Promise<{ readonly size: number; readonly text: string } | undefined> => {
      const chunks: Buffer[] = [];
      const { pull } = bench.through();
      const result = await pull?.(bench.at(key), {}, (chunk) => void chunks.push(Buffer.from(chunk)), noContext);
      return result && { size: result.info.size, text: Buffer.concat(chunks).toString() };
    };

    it('is opened with the size that it has', async () => {
      bench.proxy.faults.answer = ({ method }) => (method === 'GET' ? chunked(key, text) : undefined);
      const { info, body } = (await bench.through().get(bench.at(key), {}, noContext)) as ObjectStream;
      expect(info.size).toBe(text.length);
      expect((await readAll(body)).toString()).toBe(text);
    });

    it('is pulled with the size that it has', async () => {
      if (transport === 'sdk') return expect(bench.through().pull).toBeUndefined();
      bench.proxy.faults.answer = ({ method }) => (method === 'GET' ? chunked(key, text) : undefined);
      expect(await pulled()).toEqual({ size: text.length, text });
    });

    it('is opened without an ETag as well', async () => {
      const { text: answer } = chunked(key, text);
      bench.proxy.faults.answer = ({ method }) =>
        method === 'GET' ? { text: answer.replace(/ETag: .*/, `Last-Modified: ${new Date().toUTCString()}`) } : undefined;
      const { info, body } = (await bench.through().get(bench.at(key), {}, noContext)) as ObjectStream;
      expect(info.size).toBe(text.length);
      expect((await readAll(body)).toString()).toBe(text);
    });

    it('fails to read if the connection ended too early', async () => {
      const cut = { text: head(key, 'Connection: close') + text.slice(0, -3), thenCut: true };
      bench.proxy.faults.answer = ({ method }) => (method === 'GET' ? cut : undefined);
      const { info, body } = (await bench.through().get(bench.at(key), {}, noContext)) as ObjectStream;
      expect(info.size).toBe(text.length);
      const failure = { code: 'storage_unavailable', retryable: true };
      await expect(readAll(body)).rejects.toMatchObject(failure);
      if (transport === 'lean') await expect(pulled()).rejects.toMatchObject(failure);
    });

    it('is not opened if it was replaced meanwhile', async () => {
      bench.proxy.faults.answer = ({ method }) =>
        method === 'GET' ? { text: chunked(key, text).text.replace(etags[key]!, 'other') } : undefined;
      const failure = { code: 'storage_unavailable', retryable: true };
      await expect(bench.through().get(bench.at(key), {}, noContext)).rejects.toMatchObject(failure);
      if (transport === 'lean') await expect(pulled()).rejects.toMatchObject(failure);
    });

    it('is refused if its size cannot be found out, unless the size does not matter', async () => {
      bench.proxy.faults.answer = ({ method }) => (method === 'GET' ? chunked(key, text) : { text: head(key) });
      const backend = bench.through();
      await expect(backend.get(bench.at(key), {}, noContext)).rejects.toMatchObject({
        code: 'not_supported',
        message: expect.stringContaining('report the size'),
      });
      expect(await backend.get(bench.at(key), { ifNoneMatch: ['x', etags[key]!] }, noContext)).toMatchObject({ kind: 'not_modified' });
    });

    it('is refused where the pool has one connection, instead of waiting for another', async () => {
      bench.proxy.faults.answer = ({ method }) => (method === 'GET' ? chunked(key, text) : undefined);
      const opening = bench.through({ maxPoolConnections: 1 }).get(bench.at(key), {}, noContext);
      await expect(opening).rejects.toMatchObject({ code: 'not_supported', message: expect.stringContaining('two connections') });
    });
  });
});
