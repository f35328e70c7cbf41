import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Readable } from 'node:stream';

import { readAll } from '../body/body.ts';
import { assertRejectsAsIs, assertSameBytes, newBucketName, streamBody, streamOf } from './harness.ts';
import type { Suite } from './harness.ts';

/** A stream that yields `chunk` and then nothing more, ever: a client that hangs. */
function hanging(chunk: Uint8Array | undefined): Readable {
  let hasYielded = chunk === undefined;
  return new Readable({
    read() {
      if (hasYielded) return;
      hasYielded = true;
      this.push(chunk);
    },
  });
}

/** A stream that yields `chunk` and then fails. */
function failing(chunk: Uint8Array | undefined, error: Error): Readable {
  let hasYielded = chunk === undefined;
  return new Readable({
    read() {
      if (hasYielded) return void setImmediate(() => this.destroy(error));
      hasYielded = true;
      this.push(chunk);
    },
  });
}

const firstChunks: readonly [string, Uint8Array | undefined][] = [
  ['before its first byte', undefined],
  ['after some bytes', Buffer.alloc(100_000, 'a')],
  ['after many bytes', Buffer.alloc(6_000_000, 'b')],
];

export function aborts(suite: Suite): void {
  suite.describe('aborts', () => {
    cancelledUploads(suite);
    failingSources(suite);
    cancelledDownloads(suite);
    cancelledCalls(suite);
  });
}

function cancelledUploads({ test }: Suite): void {
  for (const [when, chunk] of firstChunks) {
    test(`an upload that is cancelled ${when} leaves nothing`, async (t) => {
      for (const size of [undefined, 50_000_000]) {
        const cancel = new AbortController();
        const reason = new Error('cancelled by the test');
        const body = streamBody(hanging(chunk), size);
        const upload = t.putBody(t.at('fresh'), body, {}, cancel.signal);
        setTimeout(() => cancel.abort(reason), 20);
        await assertRejectsAsIs(upload, reason);
        assert.ok(body.stream.destroyed, 'the stream is destroyed');
        await t.assertAbsent(t.at('fresh'));
      }
    });
  }

  test('an upload that is cancelled leaves the object that was there', async (t) => {
    await t.put(t.at('old'), 'old bytes');
    const cancel = new AbortController();
    const reason = new Error('cancelled by the test');
    const upload = t.putBody(t.at('old'), streamBody(hanging(Buffer.alloc(100_000))), {}, cancel.signal);
    setTimeout(() => cancel.abort(reason), 20);
    await assertRejectsAsIs(upload, reason);
    await t.assertHolds(t.at('old'), 'old bytes');
  });

  test('an upload whose signal is aborted already does not begin', async (t) => {
    const reason = new Error('cancelled before');
    const body = streamBody(streamOf('x'));
    await assertRejectsAsIs(t.putBody(t.at('stream'), body, {}, AbortSignal.abort(reason)), reason);
    assert.ok(body.stream.destroyed, 'the stream is destroyed');
    const buffer = t.putBody(t.at('buffer'), { kind: 'buffer', data: Buffer.from('x') }, {}, AbortSignal.abort(reason));
    await assertRejectsAsIs(buffer, reason);
    await t.assertAbsent(t.at('stream'));
    await t.assertAbsent(t.at('buffer'));
  });

  test('a signal that is aborted after the upload changes nothing', async (t) => {
    const cancel = new AbortController();
    await t.putBody(t.at('done'), streamBody(streamOf('done')), {}, cancel.signal);
    cancel.abort();
    await t.assertHolds(t.at('done'), 'done');
  });
}

function failingSources({ test }: Suite): void {
  for (const [when, chunk] of firstChunks) {
    test(`a source that fails ${when} leaves nothing, and its error comes back`, async (t) => {
      for (const size of [undefined, 50_000_000]) {
        const error = new Error('the source failed');
        await assertRejectsAsIs(t.putBody(t.at('fresh'), streamBody(failing(chunk, error), size)), error);
        await t.assertAbsent(t.at('fresh'));
      }
      const error = new Error('the source failed again');
      await t.put(t.at('old'), 'old bytes');
      await assertRejectsAsIs(t.putBody(t.at('old'), streamBody(failing(chunk, error))), error);
      await t.assertHolds(t.at('old'), 'old bytes');
    });
  }

  test('a source that has failed already is not stored', async (t) => {
    const error = new Error('failed long ago');
    const stream = streamOf('x');
    stream.on('error', () => {});
    stream.destroy(error);
    await delay(5);
    await assertRejectsAsIs(t.putBody(t.at('failed'), streamBody(stream)), error);
    await t.assertAbsent(t.at('failed'));
  });

  test('a source that is closed before its end is not stored', async (t) => {
    const stream = hanging(Buffer.alloc(1000));
    setTimeout(() => stream.destroy(), 20);
    await assert.rejects(t.putBody(t.at('closed'), streamBody(stream)));
    await t.assertAbsent(t.at('closed'));
  });
}

function cancelledDownloads({ test }: Suite): void {
  test('a download that is cancelled ends with the reason of the signal', async (t) => {
    await t.put(t.at('big'), randomBytes(6_000_000));
    const cancel = new AbortController();
    const reason = new Error('cancelled by the test');
    const { body } = await t.open(t.at('big'), {}, cancel.signal);
    const reading = (async () => {
      for await (const _chunk of body) cancel.abort(reason);
    })();
    await assertRejectsAsIs(reading, reason);
    assert.ok(body.destroyed);
  });

  test('a download that is cancelled before anybody reads it fails its reader only', async (t) => {
    await t.put(t.at('big'), randomBytes(1_000_000));
    const cancel = new AbortController();
    const reason = new Error('cancelled by the test');
    const { body } = await t.open(t.at('big'), {}, cancel.signal);
    cancel.abort(reason);
    await delay(5);
    await assertRejectsAsIs(readAll(body), reason);
  });

  test('downloads that are given up release what they held', async (t) => {
    const data = randomBytes(1_000_000);
    await t.put(t.at('big'), data);
    // More than any pool of connections or threads holds.
    for (let turn = 0; turn < 100; turn++) {
      const cancel = new AbortController();
      const { body } = await t.open(t.at('big'), {}, cancel.signal);
      if (turn % 3 === 0) body.destroy();
      else if (turn % 3 === 1) cancel.abort();
      else for await (const _chunk of body) break;
    }
    assertSameBytes(await t.read(t.at('big')), data);
  });

  test('a signal that is aborted after the download changes nothing', async (t) => {
    await t.put(t.at('small'), 'bytes');
    const cancel = new AbortController();
    const { body } = await t.open(t.at('small'), {}, cancel.signal);
    assertSameBytes(await readAll(body), 'bytes');
    cancel.abort();
  });
}

function cancelledCalls({ test }: Suite): void {
  test('no call begins whose signal is aborted already', async (t) => {
    const reason = new Error('cancelled before');
    const ctx = { signal: AbortSignal.abort(reason) };
    const at = t.at('object');
    await t.put(at, 'bytes');
    const { backend } = t;
    await assertRejectsAsIs(backend.check(ctx), reason);
    await assertRejectsAsIs(backend.get(at, {}, ctx), reason);
    await assertRejectsAsIs(backend.head(at, ctx), reason);
    await assertRejectsAsIs(backend.list(at.bucket, {}, ctx), reason);
    await assertRejectsAsIs(backend.copy(at, t.at('copy'), {}, ctx), reason);
    await assertRejectsAsIs(backend.delete(at, ctx), reason);
    await t.assertHolds(at, 'bytes');
    await t.assertAbsent(t.at('copy'));
  });

  test('no call of an ability begins whose signal is aborted already', async (t) => {
    const reason = new Error('cancelled before');
    const ctx = { signal: AbortSignal.abort(reason) };
    const at = t.at('object');
    await t.put(at, 'bytes');
    const nowhere = newBucketName(); // if it began all the same, it would not disturb the other calls
    const { batchDelete, buckets, acl, presign, versioning, lifecycle, maintenance } = t.backend;
    const calls: readonly (() => Promise<unknown> | undefined)[] = [
      () => t.backend.pull?.(at, {}, () => {}, ctx),
      () => t.backend.deleteIfMatch?.(at, 'etag', ctx),
      () => batchDelete?.deleteMany(at.bucket, [at.key], ctx),
      () => buckets?.create(nowhere, {}, ctx),
      () => buckets?.head(at.bucket, ctx),
      () => buckets?.find?.(at.bucket, ctx),
      () => buckets?.list(ctx),
      () => buckets?.delete(nowhere, { force: true }, ctx),
      () => buckets?.provision?.(at.bucket, { corsOrigins: ['*'] }, ctx),
      () => acl?.getObjectAcl(at, ctx),
      () => acl?.setObjectAcl(at, 'private', ctx),
      () => acl?.getBucketAcl(at.bucket, ctx),
      () => acl?.setBucketAcl(at.bucket, 'private', ctx),
      () => presign?.upload(at, { expiresIn: 60 }, ctx),
      () => presign?.download(at, { expiresIn: 60 }, ctx),
      () => versioning?.getVersioning(at.bucket, ctx),
      () => versioning?.setVersioning(at.bucket, false, ctx),
      () => lifecycle?.getLifecycle(at.bucket, ctx),
      () => lifecycle?.setLifecycle(at.bucket, [], ctx),
      () => lifecycle?.deleteLifecycle(at.bucket, ctx),
      () => maintenance?.sweep({ olderThan: 1e9, dryRun: true }, ctx),
    ];
    for (const call of calls) {
      const pending = call();
      if (pending !== undefined) await assertRejectsAsIs(pending, reason);
    }
    await t.assertHolds(at, 'bytes');
  });
}
