import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

import { fileBody } from '../body/file-body.ts';
import { withDirectReads } from '../body/file-stream.ts';
import { noContext } from '../context.ts';
import { assertRejects, assertRejectsAsIs, assertSameBytes, streamBody, streamOf } from './harness.ts';
import type { Suite } from './harness.ts';

const largeSize = 5 * 1024 * 1024 + 1;

/** Cuts `data` into chunks of very different sizes. */
function split(data: Buffer): Buffer[] {
  const sizes = [1, 65_536, 7, 300_000, 16_384, 1_000_003];
  const chunks: Buffer[] = [];
  for (let start = 0, turn = 0; start < data.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    chunks.push(data.subarray(start, start + size));
    start += size;
  }
  return chunks;
}

export function streams(suite: Suite): void {
  const { describe, test } = suite;
  describe('streams', () => {
    files(suite);

    for (const [name, size] of [
      ['unknown', undefined],
      ['announced', largeSize],
    ] as const) {
      test(`takes a stream of ${name} length`, async (t) => {
        const at = t.at('stream');
        const data = randomBytes(largeSize);
        const info = await t.putBody(at, streamBody(streamOf(...split(data)), size), {
          contentType: 'video/mp4',
          metadata: { cut: 'yes' },
        });
        assert.equal(info.size, largeSize);
        assert.equal(info.contentType, 'video/mp4');
        await t.assertHolds(at, data);
        const head = await t.head(at);
        assert.deepEqual(
          [head.size, head.etag, head.contentType, { ...head.metadata }],
          [largeSize, info.etag, 'video/mp4', { cut: 'yes' }],
        );
      });
    }

    test('takes an empty stream, announced or not', async (t) => {
      assert.equal((await t.putBody(t.at('unknown'), streamBody(streamOf()))).size, 0);
      assert.equal((await t.putBody(t.at('announced'), streamBody(streamOf(), 0))).size, 0);
      await t.assertHolds(t.at('unknown'), '');
      await t.assertHolds(t.at('announced'), '');
    });

    test('takes a stream whose bytes are there already', async (t) => {
      const stream = streamOf('first ', 'second');
      const first = await new Promise<Buffer>((resolve) => {
        stream.once('readable', () => resolve(stream.read() as Buffer));
      });
      stream.unshift(first);
      await t.putBody(t.at('peeked'), streamBody(stream));
      await t.assertHolds(t.at('peeked'), 'first second');
    });

    test('takes many streams at once', async (t) => {
      const names = Array.from({ length: 16 }, (_, index) => String(index));
      await Promise.all(names.map((name) => t.putBody(t.at(name), streamBody(streamOf(name, '-', name.repeat(5000))))));
      for (const name of names) await t.assertHolds(t.at(name), `${name}-${name.repeat(5000)}`);
    });

    for (const [name, actual, announced] of [
      ['shorter', 99, 100],
      ['longer', 101, 100],
      ['longer than the nothing', 1, 0],
      ['empty, and so shorter', 0, 1],
      ['much longer', 300_000, 10],
      ['much shorter', 300_000, 40_000_000],
    ] as const) {
      test(`refuses a stream that is ${name} than announced`, async (t) => {
        const body = (): ReturnType<typeof streamBody> => streamBody(streamOf(...split(Buffer.alloc(actual, 'x'))), announced);
        const fresh = body();
        await assertRejects(t.putBody(t.at('fresh'), fresh), 'invalid_argument');
        assert.ok(fresh.stream.destroyed, 'the stream is destroyed');
        await t.assertAbsent(t.at('fresh'));
        await t.put(t.at('old'), 'old bytes');
        await assertRejects(t.putBody(t.at('old'), body()), 'invalid_argument');
        await t.assertHolds(t.at('old'), 'old bytes');
      });
    }

    test('verifies declared checksums of a stream', async (t) => {
      const at = t.at('sums');
      const chunks = ['some ', 'streamed ', 'bytes'];
      const md5 = createHash('md5').update(chunks.join('')).digest('hex');
      const sha256 = createHash('sha256').update(chunks.join('')).digest('hex');
      const wrong = streamBody(streamOf(...chunks));
      await assertRejects(t.putBody(at, wrong, { sha256: '0'.repeat(64) }), 'checksum_mismatch');
      assert.ok(wrong.stream.destroyed, 'the stream is destroyed');
      await assertRejects(t.putBody(at, streamBody(streamOf(...chunks)), { md5: '0'.repeat(32) }), 'checksum_mismatch');
      await t.assertAbsent(at);
      await t.putBody(at, streamBody(streamOf(...chunks)), { sha256, md5 });
      await t.assertHolds(at, chunks.join(''));
      await assertRejects(t.putBody(at, streamBody(streamOf('others')), { sha256 }), 'checksum_mismatch');
      await t.assertHolds(at, chunks.join(''));
    });

    test('gives a body that can be read in any way', async (t) => {
      const at = t.at('ways');
      const data = randomBytes(200_000);
      await t.put(at, data);
      const paused = await t.open(at);
      const chunks: Buffer[] = [];
      for await (const chunk of paused.body) {
        await new Promise((resolve) => setImmediate(resolve));
        assert.ok(Buffer.isBuffer(chunk), 'a body yields Buffers');
        chunks.push(chunk);
      }
      assertSameBytes(Buffer.concat(chunks), data);
      const flowing = await t.open(at);
      const seen: Buffer[] = [];
      await new Promise((resolve, reject) => {
        flowing.body
          .on('data', (chunk: Buffer) => seen.push(chunk))
          .once('end', resolve)
          .once('error', reject);
      });
      assertSameBytes(Buffer.concat(seen), data);
    });

    test('reads a body to its end after the object was replaced or deleted', async (t) => {
      const at = t.at('gone');
      const data = randomBytes(1_000_000);
      for (const change of [() => t.put(at, 'new'), () => t.backend.delete(at, noContext)]) {
        await t.put(at, data);
        const { body } = await t.open(at);
        await change();
        const chunks: Buffer[] = [];
        for await (const chunk of body) chunks.push(chunk as Buffer);
        assertSameBytes(Buffer.concat(chunks), data);
      }
    });
  });
}

async function withFile(data: Uint8Array, work: (file: FileHandle, path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-suite-'));
  try {
    await writeFile(join(folder, 'file'), data);
    const file = await open(join(folder, 'file'));
    try {
      await work(file, join(folder, 'file'));
    } finally {
      await file.close();
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** @param whenRead called before the first byte is read */
type Open = (file: FileHandle, path: string, whenRead?: () => void) => Readable;

const opens: readonly Open[] = [
  (file, _path, whenRead) =>
    fileBody({
      read: (...args) => {
        whenRead?.();
        return file.read(...args);
      },
    }),
  (_file, path, whenRead) => withDirectReads(createReadStream(path).once('open', () => whenRead?.())),
];

/** A file as a handle and as a stream, each with and without an announced size. */
function ways(size?: number): readonly (readonly [announced: number | undefined, open: Open])[] {
  return [...new Set([undefined, size])].flatMap((announced) => opens.map((each) => [announced, each] as const));
}

/** Bodies that a backend may read directly, without their chunks. */
function files({ test }: Suite): void {
  test('takes the body of a file, announced or not', async (t) => {
    for (const size of [0, 10, 300_000, largeSize]) {
      const data = randomBytes(size);
      const md5 = createHash('md5').update(data).digest('hex');
      await withFile(data, async (file, path) => {
        for (const [announced, open] of ways(size)) {
          const body = streamBody(open(file, path), announced);
          const info = await t.putBody(t.at('file'), body, { md5 });
          assert.equal(info.size, size);
          await t.assertHolds(t.at('file'), data);
          assert.ok(body.stream.destroyed, 'the stream is read to its end');
        }
        if (size > 20) {
          await t.putBody(t.at('part'), streamBody(fileBody(file, { start: 7, size: size - 20 }), size - 20));
          await t.assertHolds(t.at('part'), data.subarray(7, size - 13));
          await t.putBody(t.at('part'), streamBody(withDirectReads(createReadStream(path, { start: 7, end: size - 14 }))));
          await t.assertHolds(t.at('part'), data.subarray(7, size - 13));
        }
      });
    }
  });

  test('refuses the body of a file that is shorter or longer than announced, or is given up', async (t) => {
    await withFile(randomBytes(largeSize), async (file, path) => {
      for (const announced of [10, largeSize - 1, largeSize + 1, 2 * largeSize]) {
        for (const [, open] of ways())
          await assertRejects(t.putBody(t.at('file'), streamBody(open(file, path), announced)), 'invalid_argument');
      }
      await t.assertAbsent(t.at('file'));
      for (const [announced, open] of ways(largeSize)) {
        const cancel = new AbortController();
        const reason = new Error('cancelled by the test');
        // Aborts before everything can be in flight: a server may store what it has received whole, even if the client is gone by then.
        const body = streamBody(
          open(file, path, () => cancel.abort(reason)),
          announced,
        );
        const upload = t.putBody(t.at('file'), body, {}, cancel.signal);
        await assertRejectsAsIs(upload, reason);
        assert.ok(body.stream.destroyed, 'the stream is destroyed');
      }
      await t.assertAbsent(t.at('file'));
    });
  });
}
