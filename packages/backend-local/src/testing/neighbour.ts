/* Executes orders, one line of JSON each, on the storage given as its argument, and answers each with a line of JSON. */
import { createInterface } from 'node:readline';

import { isStorageError, noContext, readAll } from '@coffer/storage-core';

import { localBackend } from '../backend.ts';

const [root = ''] = process.argv.slice(2);
const backend = localBackend({ root });

interface Order {
  readonly verb: 'put' | 'get' | 'delete' | 'list' | 'many' | 'hang' | 'close';
  readonly key: string;
}

async function obey({ verb, key }: Order): Promise<unknown> {
  const at = { bucket: 'bucket', key };
  const put = (to: string): Promise<unknown> =>
    backend.put({ bucket: 'bucket', key: to }, { kind: 'buffer', data: Buffer.from(to) }, { contentType: 'a/b' }, noContext);
  switch (verb) {
    case 'put':
      await put(key);
      return 'done';
    case 'get': {
      const result = await backend.get(at, {}, noContext);
      return result.kind === 'object' ? (await readAll(result.body)).toString() : 'not modified';
    }
    case 'delete':
      await backend.delete(at, noContext);
      return 'done';
    case 'list':
      return (await backend.list('bucket', { prefix: key }, noContext)).objects.map((object) => object.key);
    case 'many':
      for (let index = 0; index < 300; index++) await put(`${key}/${index}`);
      return 'done';
    case 'hang': {
      const { Readable } = await import('node:stream');
      const stream = new Readable({ read() {} });
      stream.push(Buffer.alloc(3_000_000));
      void backend.put(at, { kind: 'stream', stream }, { contentType: 'a/b' }, noContext).catch(() => {});
      return 'hanging';
    }
    case 'close':
      await backend.close();
      process.exit(0);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await obey(JSON.parse(line) as Order).catch((error: unknown) => (isStorageError(error) ? error.code : String(error)));
  console.log(JSON.stringify(answer));
}
