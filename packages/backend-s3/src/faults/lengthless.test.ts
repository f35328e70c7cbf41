import { randomBytes } from 'node:crypto';

import { noContext, readAll } from '@coffer/storage-core';
import type { ObjectStream } from '@coffer/storage-core';
import { beforeAll, describe, expect, it } from 'vitest';

import { doors, faultBench } from '../testing/fault-bench.ts';

const data = { small: 'a small one', large: randomBytes(150_000).toString('hex') } as const;
const options = { contentType: 'text/plain' };

// As a proxy that compresses, or caches, may send what it was given with a length.
describe.each(doors)('when answers come without their length (%s)', (door) => {
  const bench = faultBench(door);
  const chunked = (text: string): { readonly text: string } => {
    const parts = [text.slice(0, 4), text.slice(4), ''].map((part) => `${part.length.toString(16)}\r\n${part}\r\n`);
    return { text: `HTTP/1.1 200 OK\r\nETag: "x"\r\nTransfer-Encoding: chunked\r\n\r\n${parts.join('')}` };
  };

  beforeAll(async () => {
    for (const [key, text] of Object.entries(data)) {
      await bench.direct.put(bench.at(key), { kind: 'buffer', data: Buffer.from(text) }, options, noContext);
    }
  });

  describe.each(Object.entries(data))('a %s object', (key, text) => {
    it('is opened with the size that it has', async () => {
      bench.proxy.faults.answer = ({ method }) => (method === 'GET' ? chunked(text) : undefined);
      const { info, body } = (await bench.through().get(bench.at(key), {}, noContext)) as ObjectStream;
      expect(info.size).toBe(text.length);
      expect((await readAll(body)).toString()).toBe(text);
    });

    it('is pulled with the size that it has', async () => {
      bench.proxy.faults.answer = ({ method }) => (method === 'GET' ? chunked(text) : undefined);
      const backend = bench.through();
      if (backend.pull === undefined) return expect(door).toBe('sdk');
      const chunks: Buffer[] = [];
      const { info } = await backend.pull(bench.at(key), {}, (chunk) => void chunks.push(Buffer.from(chunk)), noContext);
      expect(info.size).toBe(text.length);
      expect(Buffer.concat(chunks).toString()).toBe(text);
    });

    it('is refused where nobody tells its size', async () => {
      bench.proxy.faults.answer = ({ method }) => (method === 'GET' ? chunked(text) : { text: 'HTTP/1.1 200 OK\r\nETag: "x"\r\n\r\n' });
      const opening = bench.through().get(bench.at(key), {}, noContext);
      await expect(opening).rejects.toMatchObject({ code: 'not_supported', message: expect.stringContaining('how large') });
    });
  });
});
