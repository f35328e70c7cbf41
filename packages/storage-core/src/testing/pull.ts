import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import type { ByteSink, Pulled, PullOptions } from '../backend.ts';
import { noContext } from '../context.ts';
import type { CallContext } from '../context.ts';
import type { ObjectAddress } from '../object.ts';
import { assertRejects, assertRejectsAsIs, assertSameBytes, missingBucket } from './harness.ts';
import type { Subject, Suite } from './harness.ts';

const largeSize = 3_000_001;

function pull(t: Subject, at: ObjectAddress, options: PullOptions, sink: ByteSink, ctx: CallContext = noContext): Promise<Pulled> {
  assert.ok(t.backend.pull !== undefined, 'the backend pulls');
  return t.backend.pull(at, options, sink, ctx);
}

/** Collects copies of all chunks: a chunk belongs to the sink only until it returns. */
async function collected(t: Subject, at: ObjectAddress, options: PullOptions = {}): Promise<Pulled & { readonly bytes: Buffer }> {
  const chunks: Buffer[] = [];
  const pulled = await pull(t, at, options, (chunk) => void chunks.push(Buffer.from(chunk)));
  return { ...pulled, bytes: Buffer.concat(chunks) };
}

const unwanted: ByteSink = () => assert.fail('no byte comes');

export function pulls(suite: Suite): void {
  suite.describe('pulls', () => {
    bytes(suite);
    refusals(suite);
    ends(suite);
  });
}

function bytes({ test }: Suite): void {
  test('give the object, and tell of it what a head does', async (t) => {
    for (const size of [0, 1, largeSize]) {
      const data = randomBytes(size);
      await t.put(t.at('object'), data, { contentType: 'video/mp4', metadata: { one: '1' } });
      const { info, range, bytes: read } = await collected(t, t.at('object'));
      assertSameBytes(read, data);
      assert.equal(range, undefined);
      const head = await t.head(t.at('object'));
      assert.deepEqual({ ...info, metadata: { ...info.metadata } }, { ...head, metadata: { ...head.metadata } });
    }
  });

  test('give just the bytes of a range', async (t) => {
    const data = randomBytes(largeSize);
    await t.put(t.at('object'), data);
    for (const [range, start, end] of [
      [{ start: 0, end: 0 }, 0, 0],
      [{ start: 65_530, end: 2_131_080 }, 65_530, 2_131_080],
      [{ start: largeSize - 10, end: largeSize + 10 }, largeSize - 10, largeSize - 1],
      [{ start: 1000 }, 1000, largeSize - 1],
      [{ suffix: 10 }, largeSize - 10, largeSize - 1],
      [{ suffix: largeSize + 1 }, 0, largeSize - 1],
    ] as const) {
      const pulled = await collected(t, t.at('object'), { range });
      assert.deepEqual(pulled.range, { start, end });
      assert.equal(pulled.info.size, largeSize, 'the info is of the whole object');
      assertSameBytes(pulled.bytes, data.subarray(start, end + 1));
    }
  });

  test('come one after another, however slow the sink', async (t) => {
    const data = randomBytes(largeSize);
    await t.put(t.at('object'), data);
    const hash = createHash('sha256');
    let [isBusy, isFirst] = [false, true];
    await pull(t, t.at('object'), {}, async (chunk) => {
      assert.ok(!isBusy, 'one chunk at a time');
      isBusy = true;
      const before = Buffer.from(chunk);
      await delay(isFirst ? 50 : 0);
      assert.ok(before.equals(chunk), 'a chunk stays as it is until the sink is done with it');
      hash.update(chunk);
      [isBusy, isFirst] = [false, false];
    });
    assert.equal(hash.digest('hex'), createHash('sha256').update(data).digest('hex'));
  });

  test('may be many at once', async (t) => {
    const data = randomBytes(largeSize);
    await t.put(t.at('object'), data);
    const parts = Array.from({ length: 32 }, (_, index) => ({ start: index * 90_000, end: index * 90_000 + 89_999 }));
    const read = await Promise.all(parts.map((range) => collected(t, t.at('object'), { range })));
    for (const [index, { start, end }] of parts.entries()) assertSameBytes(read[index]!.bytes, data.subarray(start, end + 1));
  });

  test('give any key', async (t) => {
    for (const name of ['a b+c%/é→日本/"x"', ' ', '%2F', "it's (1)!*"]) {
      await t.put(t.at(name), name);
      assertSameBytes((await collected(t, t.at(name))).bytes, name);
    }
  });
}

function refusals({ test }: Suite): void {
  test('reject as a get does, before any byte', async (t) => {
    const { etag } = await t.put(t.at('object'), 'x'.repeat(10));
    const missing = { bucket: missingBucket, key: 'x' };
    await assertRejects(pull(t, t.at('none'), {}, unwanted), 'file_not_found');
    await assertRejects(pull(t, t.at('none'), { range: { start: 1 }, ifMatch: etag }, unwanted), 'file_not_found');
    await assertRejects(pull(t, missing, {}, unwanted), 'no_such_bucket');
    await assertRejects(pull(t, t.at('object'), { range: { start: 10 } }, unwanted), 'range_not_satisfiable');
    await assertRejects(pull(t, t.at('object'), { range: { suffix: 0 } }, unwanted), 'range_not_satisfiable');
    await assertRejects(pull(t, t.at('object'), { ifMatch: 'other' }, unwanted), 'precondition_failed');
    await assertRejects(pull(t, t.at('object'), { ifMatch: '*' }, unwanted), 'precondition_failed');
    await assertRejects(pull(t, t.at('object'), { ifMatch: 'other', range: { start: 1 } }, unwanted), 'precondition_failed');
    await assertRejects(pull(t, t.at('object'), { ifMatch: 'other', range: { start: 99 } }, unwanted), 'precondition_failed');
    await assertRejects(pull(t, t.at('object'), { ifMatch: etag, range: { start: 99 } }, unwanted), 'range_not_satisfiable');
    assertSameBytes((await collected(t, t.at('object'), { ifMatch: etag, range: { start: 8 } })).bytes, 'xx');
  });
}

function ends({ test }: Suite): void {
  test('end with the error of the sink, and take no socket along', async (t) => {
    await t.put(t.at('object'), randomBytes(largeSize));
    for (let turn = 0; turn < 40; turn++) {
      const error = new Error('the disk is full');
      const sink: ByteSink = turn % 2 === 0 ? () => Promise.reject(error) : () => assert.fail(error);
      await assertRejectsAsIs(pull(t, t.at('object'), {}, sink), error);
    }
    assert.equal((await collected(t, t.at('object'))).bytes.length, largeSize);
  });

  test('end with the reason of the signal, whether the sink is busy or not', async (t) => {
    await t.put(t.at('object'), randomBytes(largeSize));
    for (let turn = 0; turn < 40; turn++) {
      const cancel = new AbortController();
      const reason = new Error('cancelled by the test');
      const sink: ByteSink = async () => {
        cancel.abort(reason);
        await delay(turn % 2);
      };
      await assertRejectsAsIs(pull(t, t.at('object'), {}, sink, { signal: cancel.signal }), reason);
    }
    const aborted = { signal: AbortSignal.abort(new Error('before')) };
    await assertRejectsAsIs(pull(t, t.at('object'), {}, unwanted, aborted), aborted.signal.reason);
  });
}
