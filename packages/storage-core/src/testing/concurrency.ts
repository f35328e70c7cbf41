import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';

import { readAll } from '../body/body.ts';
import { noContext } from '../context.ts';
import { hasCode } from '../errors.ts';
import type { ObjectInfo } from '../object.ts';
import { streamBody, streamOf } from './harness.ts';
import type { Subject, Suite } from './harness.ts';

/** The bytes of one writer. Each has its own length and fill value, so that a mixture shows. */
function bytesOf(writer: number): Buffer {
  return Buffer.alloc(40_000 + writer * 997, writer + 1);
}

/** The writer of these bytes, which must all be that writer's. */
function writerOf(data: Buffer): number {
  const writer = (data[0] ?? 0) - 1;
  assert.ok(bytesOf(writer).equals(data), `a whole object of one writer; these are ${data.length} bytes beginning with ${String(data[0])}`);
  return writer;
}

async function write(
  t: Subject,
  writer: number,
  options: { readonly ifNoneMatch?: '*'; readonly ifMatch?: string } = {},
): Promise<ObjectInfo> {
  const data = bytesOf(writer);
  if (writer % 2 === 0) return t.put(t.at('contended'), data, options);
  const chunks = [data.subarray(0, 10_000), data.subarray(10_000, 30_000), data.subarray(30_000)];
  return t.putBody(t.at('contended'), streamBody(streamOf(...chunks), writer % 4 === 1 ? data.length : undefined), options);
}

/** Reads over and over until `done`. Each read must give a whole object whose ETag and size match its bytes. */
async function watch(t: Subject, done: () => boolean, seen: (info: ObjectInfo, writer: number) => void): Promise<void> {
  while (!done()) {
    try {
      const { info, body } = await t.open(t.at('contended'));
      const data = await readAll(body);
      assert.equal(data.length, info.size);
      seen(info, writerOf(data));
    } catch (error) {
      if (!hasCode(error, 'file_not_found')) throw error; // nobody has written yet, or somebody has deleted it
    }
    await delay(1);
  }
}

/** Settles all writes while readers watch; rejects if a reader saw anything but a whole object. */
async function settleWatched<T>(
  t: Subject,
  writes: readonly Promise<T>[],
): Promise<{ readonly results: PromiseSettledResult<T>[]; readonly seen: Map<string, number> }> {
  const seen = new Map<string, number>();
  let isOver = false;
  const note = (info: ObjectInfo, writer: number): void => {
    assert.equal(seen.get(info.etag) ?? writer, writer, 'an ETag belongs to one body');
    seen.set(info.etag, writer);
  };
  const reading = Promise.allSettled([1, 2, 3, 4].map(() => watch(t, () => isOver, note)));
  const results = await Promise.allSettled(writes);
  isOver = true;
  for (const reader of await reading) if (reader.status === 'rejected') throw reader.reason;
  return { results, seen };
}

export function concurrency({ options, describe, test }: Suite): void {
  const writers = Array.from({ length: options.writers ?? 64 }, (_, index) => index);

  describe('concurrency', () => {
    test(`${writers.length} writers of one key: one wins, whole, and readers see whole objects all the while`, async (t) => {
      const { results, seen } = await settleWatched(
        t,
        writers.map((writer) => write(t, writer)),
      );
      const etags = results.map((result) => (result.status === 'fulfilled' ? result.value.etag : assert.fail(String(result.reason))));
      for (const [etag, writer] of seen) assert.equal(etag, etags[writer], 'a reader sees the ETag that the writer was told');
      const winner = writerOf(await t.read(t.at('contended')));
      const info = await t.head(t.at('contended'));
      assert.deepEqual([info.etag, info.size], [etags[winner], bytesOf(winner).length]);
      assert.deepEqual(await t.keys(), ['contended']);
      await t.assertNoLeftovers();
    });

    test('writers under If-None-Match: * are let through once', async (t) => {
      const { results } = await settleWatched(
        t,
        writers.slice(0, 16).map((writer) => write(t, writer, { ifNoneMatch: '*' })),
      );
      await assertOneWinner(t, results);
    });

    test('writers under If-Match of one version are let through once', async (t) => {
      const { etag } = await t.put(t.at('contended'), bytesOf(200));
      const { results } = await settleWatched(
        t,
        writers.slice(0, 16).map((writer) => write(t, writer, { ifMatch: etag })),
      );
      await assertOneWinner(t, results);
    });

    test('writers, deleters and copiers of one key leave a whole object or none', async (t) => {
      await t.put(t.at('contended'), bytesOf(200));
      const acts = writers.slice(0, 24).map(async (writer) => {
        if (writer % 4 === 3) return t.backend.delete(t.at('contended'), noContext);
        if (writer % 4 === 2) return t.backend.copy(t.at('contended'), t.at(`copy ${writer}`), {}, noContext);
        return write(t, writer);
      });
      const { results } = await settleWatched<unknown>(t, acts);
      for (const result of results) {
        if (result.status === 'rejected') assert.ok(hasCode(result.reason, 'file_not_found'), String(result.reason));
      }
      for (const name of await t.keys()) writerOf(await t.read(t.at(name)));
      await t.assertNoLeftovers();
    });
  });
}

async function assertOneWinner(t: Subject, results: readonly PromiseSettledResult<ObjectInfo>[]): Promise<void> {
  const winners = results.flatMap((result, writer) => (result.status === 'fulfilled' ? [writer] : []));
  for (const result of results) {
    if (result.status === 'rejected') assert.ok(hasCode(result.reason, 'precondition_failed'), String(result.reason));
  }
  assert.equal(winners.length, 1, 'one writer wins');
  assert.equal(writerOf(await t.read(t.at('contended'))), winners[0]);
  await t.assertNoLeftovers();
}
