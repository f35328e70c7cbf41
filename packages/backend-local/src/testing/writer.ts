/*
 * Writes, overwrites, copies and deletes until it is killed, and prints each acknowledged change on a line:
 * `put KEY SHA256`, `delete KEY`. Arguments: root, prefix of its keys.
 */
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { writeSync } from 'node:fs';
import { Readable } from 'node:stream';

import { noContext } from '@coffer/storage-core';
import type { Body } from '@coffer/storage-core';

import { localBackend } from '../backend.ts';

const [root = '', name = ''] = process.argv.slice(2);
const backend = localBackend({ root });
const say = (line: string): void => void writeSync(1, `${line}\n`);

function bodyOf(data: Buffer): Body {
  if (data.length % 2 === 0) return { kind: 'buffer', data };
  const chunks = Array.from({ length: Math.ceil(data.length / 65_536) }, (_, index) => data.subarray(index * 65_536, (index + 1) * 65_536));
  return { kind: 'stream', stream: Readable.from(chunks, { objectMode: false }) };
}

async function work(worker: number): Promise<never> {
  for (let turn = 0; ; turn++) {
    const data = randomBytes(turn % 8 === 0 ? 1_500_000 + randomInt(1_000_000) : randomInt(50_000));
    const sha256 = createHash('sha256').update(data).digest('hex');
    const own = `${name}/${worker}/${turn}`;
    const shared = `shared/${turn % 3}`;
    await backend.put({ bucket: 'bucket', key: own }, bodyOf(data), { contentType: 'a/b' }, noContext);
    say(`put ${own} ${sha256}`);
    await backend.put({ bucket: 'bucket', key: shared }, bodyOf(data), { contentType: 'a/b' }, noContext);
    if (turn % 4 === 1) {
      await backend.copy({ bucket: 'bucket', key: own }, { bucket: 'bucket', key: `${own}/copy` }, {}, noContext);
      say(`put ${own}/copy ${sha256}`);
    }
    if (turn % 4 === 3) {
      await backend.delete({ bucket: 'bucket', key: own }, noContext);
      say(`delete ${own}`);
    }
  }
}

await Promise.all([0, 1, 2, 3, 4, 5].map(work));
