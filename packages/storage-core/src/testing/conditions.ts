import assert from 'node:assert/strict';

import { noContext } from '../context.ts';
import type { GetOptions, ObjectInfo } from '../object.ts';
import { assertRejects, assertSameBytes, streamBody, streamOf, streamUntil } from './harness.ts';
import type { Suite } from './harness.ts';

const hour = 3_600_000;

type Conditions = (info: ObjectInfo) => GetOptions;

function later(info: ObjectInfo, ms: number): Date {
  return new Date(info.lastModified.getTime() + ms);
}

/** A date after a round trip through a header: HTTP has whole seconds. */
function asInHttp(date: Date): Date {
  return new Date(date.toUTCString());
}

const sent: readonly [string, Conditions][] = [
  ['If-Match with its ETag', ({ etag }) => ({ ifMatch: [etag] })],
  ['If-Match with its ETag among others', ({ etag }) => ({ ifMatch: ['other', etag] })],
  ['If-Match: *', () => ({ ifMatch: '*' })],
  ['If-None-Match with another ETag', () => ({ ifNoneMatch: ['other'] })],
  ['If-None-Match with an ETag "*"', () => ({ ifNoneMatch: ['*'] })],
  ['If-Modified-Since before 1970', () => ({ ifModifiedSince: new Date(-1000) })],
  ['If-Modified-Since before the change', (info) => ({ ifModifiedSince: later(info, -hour) })],
  ['If-Unmodified-Since at the change, in whole seconds', (info) => ({ ifUnmodifiedSince: asInHttp(info.lastModified) })],
  ['If-Unmodified-Since after the change', (info) => ({ ifUnmodifiedSince: later(info, hour) })],
  ['If-Unmodified-Since in another century', () => ({ ifUnmodifiedSince: new Date('2150-01-01') })],
  [
    'If-None-Match that fails to match beside If-Modified-Since',
    (info) => ({ ifNoneMatch: ['other'], ifModifiedSince: later(info, hour) }),
  ],
  ['If-Match beside a failing If-Unmodified-Since', (info) => ({ ifMatch: [info.etag], ifUnmodifiedSince: later(info, -hour) })],
];

const notModified: readonly [string, Conditions][] = [
  ['If-None-Match with its ETag', ({ etag }) => ({ ifNoneMatch: [etag] })],
  ['If-None-Match with its ETag among others', ({ etag }) => ({ ifNoneMatch: ['other', etag] })],
  ['If-None-Match: *', () => ({ ifNoneMatch: '*' })],
  ['If-Modified-Since at the change', (info) => ({ ifModifiedSince: info.lastModified })],
  ['If-Modified-Since at the change, in whole seconds', (info) => ({ ifModifiedSince: asInHttp(info.lastModified) })],
  ['If-Modified-Since after the change', (info) => ({ ifModifiedSince: later(info, hour) })],
  ['If-Modified-Since in another century', () => ({ ifModifiedSince: new Date('2150-01-01') })],
  ['If-None-Match beside a range outside the object', ({ etag }) => ({ ifNoneMatch: [etag], range: { start: 1000 } })],
];

const failing: readonly [string, Conditions][] = [
  ['If-Match with another ETag', () => ({ ifMatch: ['other'] })],
  ['If-Match with no ETag at all', () => ({ ifMatch: [] })],
  ['If-Match with an ETag "*"', () => ({ ifMatch: ['*'] })],
  ['If-Unmodified-Since before 1970', () => ({ ifUnmodifiedSince: new Date(-1000) })],
  ['If-Unmodified-Since before the change', (info) => ({ ifUnmodifiedSince: later(info, -hour) })],
  ['If-Match with another ETag beside If-None-Match', ({ etag }) => ({ ifMatch: ['other'], ifNoneMatch: [etag] })],
  ['If-Match with another ETag beside a range outside the object', () => ({ ifMatch: ['other'], range: { start: 1000 } })],
];

export function conditions(suite: Suite): void {
  suite.describe('conditional reads', () => reads(suite));
  suite.describe('conditional writes', () => writes(suite));
}

function reads({ test }: Suite): void {
  test('sends an object whose conditions hold', async (t) => {
    await t.put(t.at('object'), 'bytes');
    const info = await t.head(t.at('object'));
    for (const [name, options] of sent) {
      assertSameBytes(
        await t.read(t.at('object'), options(info)).catch((error: unknown) => assert.fail(`${name}: ${String(error)}`)),
        'bytes',
      );
    }
    assertSameBytes(await t.read(t.at('object'), { ifMatch: [info.etag], range: { start: 1, end: 2 } }), 'yt');
  });

  test('says when the caller has the object already', async (t) => {
    await t.put(t.at('object'), 'bytes');
    const info = await t.head(t.at('object'));
    for (const [name, options] of notModified) {
      const result = await t.backend.get(t.at('object'), options(info), noContext);
      assert.equal(result.kind, 'not_modified', name);
      assert.equal(result.kind === 'not_modified' && result.etag, info.etag, name);
      if (result.kind === 'not_modified' && result.lastModified !== undefined)
        assert.equal(asInHttp(result.lastModified).getTime(), asInHttp(info.lastModified).getTime(), name);
    }
  });

  test('refuses when a condition does not hold', async (t) => {
    const info = await t.put(t.at('object'), 'bytes');
    for (const [name, options] of failing) await assertRejects(t.open(t.at('object'), options(info)), 'precondition_failed', name);
  });

  test('knows whether the object is there before it looks at conditions', async (t) => {
    await assertRejects(t.open(t.at('none'), { ifNoneMatch: ['x'] }), 'file_not_found');
  });
}

function writes({ test }: Suite): void {
  test('If-None-Match: * writes only where there is nothing', async (t) => {
    const at = t.at('object');
    await t.put(at, 'first', { ifNoneMatch: '*' });
    await assertRejects(t.put(at, 'second', { ifNoneMatch: '*' }), 'precondition_failed');
    const body = streamBody(streamOf('third ', 'version'));
    await assertRejects(t.putBody(at, body, { ifNoneMatch: '*' }), 'precondition_failed');
    assert.ok(body.stream.destroyed, 'the stream of a refused write is destroyed');
    await t.assertHolds(at, 'first');
    await t.backend.delete(at, noContext);
    await t.put(at, 'fourth', { ifNoneMatch: '*' });
    await t.assertHolds(at, 'fourth');
  });

  test('If-Match writes only over that version', async (t) => {
    const at = t.at('object');
    await assertRejects(t.put(at, 'none to match', { ifMatch: 'x' }), 'precondition_failed');
    await t.assertAbsent(at);
    const first = await t.put(at, 'first');
    await assertRejects(t.put(at, 'any to match', { ifMatch: '*' }), 'precondition_failed'); // no object has this ETag
    const second = await t.put(at, 'second', { ifMatch: first.etag });
    await assertRejects(t.put(at, 'third', { ifMatch: first.etag }), 'precondition_failed');
    await assertRejects(t.putBody(at, streamBody(streamOf('third')), { ifMatch: first.etag }), 'precondition_failed');
    await t.assertHolds(at, 'second');
    await t.putBody(at, streamBody(streamOf('fourth')), { ifMatch: second.etag });
    await t.assertHolds(at, 'fourth');
  });

  test('evaluates conditions when the bytes are there, not when the write begins', async (t) => {
    const at = t.at('object');
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    const write = t.putBody(at, streamBody(streamUntil(gate, 'begun first, ended last')), { ifNoneMatch: '*' });
    const refused = assertRejects(write, 'precondition_failed');
    await t.put(at, 'in between').finally(release);
    await refused;
    await t.assertHolds(at, 'in between');
  });
}
