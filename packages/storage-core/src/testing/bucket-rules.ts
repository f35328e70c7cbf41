import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import { requireAbility } from '../ability.ts';
import { noContext } from '../context.ts';
import { assertRejects, assertSameBytes, isRefused, missingBucket, streamBody, streamUntil } from './harness.ts';
import type { Suite } from './harness.ts';

export function bucketRules(suite: Suite): void {
  const { versioning, lifecycle, maintenance } = suite.options.abilities;
  if (versioning) suite.describe('versioning', () => versions(suite));
  if (lifecycle) {
    suite.describe('lifecycle rules', () => {
      rules(suite);
      rulesOfNothing(suite);
    });
  }
  if (maintenance) suite.describe('maintenance', () => sweeps(suite));
}

function versions({ test }: Suite): void {
  test('turns versioning on and off', async (t) => {
    const versioning = requireAbility(t.backend, 'versioning');
    const { bucket, release } = await t.otherBucket();
    try {
      assert.equal(await versioning.getVersioning(bucket, noContext), false);
      await versioning.setVersioning(bucket, true, noContext);
      assert.equal(await versioning.getVersioning(bucket, noContext), true);
      assert.equal((await t.backend.buckets?.head(bucket, noContext))?.versioningEnabled ?? true, true);
      const first = await t.put({ bucket, key: 'x' }, 'one');
      const second = await t.put({ bucket, key: 'x' }, 'two');
      assert.ok(first.versionId !== undefined && first.versionId !== second.versionId, 'each version has an id');
      await t.backend.delete({ bucket, key: 'x' }, noContext);
      await assertRejects(t.head({ bucket, key: 'x' }), 'file_not_found');
      await versioning.setVersioning(bucket, false, noContext);
      assert.equal(await versioning.getVersioning(bucket, noContext), false);
    } finally {
      await release(); // removes versions and delete markers too
    }
  });

  test('meets the conditions of a write where versions are kept, or says that it cannot', async (t) => {
    const versioning = requireAbility(t.backend, 'versioning');
    const { bucket, release } = await t.otherBucket();
    try {
      const at = { bucket, key: 'x' };
      const before = await t.put(at, 'before there were versions');
      await versioning.setVersioning(bucket, true, noContext);
      const first = (await isRefused(t.put(at, 'one', { ifMatch: before.etag }))) ? await t.put(at, 'one') : await t.head(at);
      await t.assertHolds(at, 'one');
      const isTaken = !(await isRefused(t.put(at, 'two', { ifMatch: first.etag })));
      await t.assertHolds(at, isTaken ? 'two' : 'one');
      const code = isTaken ? 'precondition_failed' : 'not_supported';
      await assertRejects(t.put(at, 'three', { ifMatch: before.etag }), code);
      await t.assertHolds(at, isTaken ? 'two' : 'one');
      const isCreated = !(await isRefused(t.put({ bucket, key: 'y' }, 'new', { ifNoneMatch: '*' })));
      await assertRejects(t.put(at, 'four', { ifNoneMatch: '*' }), isCreated ? 'precondition_failed' : 'not_supported');
      await t.assertHolds(at, isTaken ? 'two' : 'one');
    } finally {
      await release();
    }
  });

  test('makes copies of their own where versions were kept once, whatever becomes of the source', async (t) => {
    const versioning = requireAbility(t.backend, 'versioning');
    const { bucket, release } = await t.otherBucket();
    try {
      const at = { bucket, key: 'source' };
      for (const [round, data] of [randomBytes(0), randomBytes(5), randomBytes(9 * 1024 * 1024)].entries()) {
        await versioning.setVersioning(bucket, true, noContext);
        await t.put(at, 'a version');
        await versioning.setVersioning(bucket, false, noContext);
        await t.put(at, data, { contentType: 'image/png', metadata: { round: String(round) } });
        const copies = [{ bucket, key: `copy ${round}` }, t.at(`copy ${round}`)];
        for (const copy of copies) await t.backend.copy(at, copy, {}, noContext);
        for (const change of [() => t.put(at, 'overwritten'), () => t.backend.delete(at, noContext)]) {
          await change();
          for (const copy of copies) {
            await t.assertHolds(copy, data);
            const { contentType, metadata } = await t.head(copy);
            assert.deepEqual([contentType, metadata['round']], ['image/png', String(round)]);
          }
        }
      }
    } finally {
      await release();
    }
  });

  test('copies the latest version, also where an older one is from before there were versions', async (t) => {
    const versioning = requireAbility(t.backend, 'versioning');
    const { bucket, release } = await t.otherBucket();
    try {
      for (const size of [5, 9 * 1024 * 1024]) {
        const at = { bucket, key: `source of ${size}` };
        await versioning.setVersioning(bucket, false, noContext);
        await t.put(at, 'from before', { contentType: 'text/plain' });
        await versioning.setVersioning(bucket, true, noContext);
        const data = randomBytes(size);
        await t.put(at, data, { contentType: 'image/png' });
        for (const enabled of [true, false]) {
          await versioning.setVersioning(bucket, enabled, noContext);
          for (const copy of [t.at(`copy ${size} ${enabled}`), { bucket, key: `copy ${size} ${enabled}` }]) {
            await t.backend.copy(at, copy, {}, noContext);
            await t.assertHolds(copy, data);
            assert.equal((await t.head(copy)).contentType, 'image/png');
          }
        }
      }
    } finally {
      await release();
    }
  });

  test('rejects the versioning of a bucket that is not there', async ({ backend }) => {
    const versioning = requireAbility(backend, 'versioning');
    await assertRejects(versioning.getVersioning(missingBucket, noContext), 'no_such_bucket');
    await assertRejects(versioning.setVersioning(missingBucket, true, noContext), 'no_such_bucket');
  });
}

function rules({ test }: Suite): void {
  test('keeps lifecycle rules until they are deleted', async (t) => {
    const lifecycle = requireAbility(t.backend, 'lifecycle');
    const { bucket, release } = await t.otherBucket();
    try {
      assert.deepEqual(await lifecycle.getLifecycle(bucket, noContext), []);
      const written = [{ id: 'old-logs', prefix: 'logs/', expireDays: 30 }];
      await lifecycle.setLifecycle(bucket, written, noContext);
      assert.deepEqual(await lifecycle.getLifecycle(bucket, noContext), written);
      const others = [
        { id: 'all', prefix: '', expireDays: 365 },
        { id: 'parts', prefix: 'parts/', abortMultipartDays: 7 },
      ];
      const isTaken = !(await isRefused(lifecycle.setLifecycle(bucket, others, noContext)));
      const stored = [...(await lifecycle.getLifecycle(bucket, noContext))].sort((a, b) => (a.id < b.id ? -1 : 1));
      assert.deepEqual(stored, isTaken ? others : written, 'all rules are replaced, or none');
      await lifecycle.deleteLifecycle(bucket, noContext);
      assert.deepEqual(await lifecycle.getLifecycle(bucket, noContext), []);
    } finally {
      await release();
    }
  });
}

function rulesOfNothing({ test }: Suite): void {
  test('rejects the rules of a bucket that is not there', async ({ backend }) => {
    const lifecycle = requireAbility(backend, 'lifecycle');
    const rules = [{ id: 'old-logs', prefix: 'logs/', expireDays: 30 }];
    await assertRejects(lifecycle.setLifecycle(missingBucket, rules, noContext), 'no_such_bucket');
    await assertRejects(lifecycle.getLifecycle(missingBucket, noContext), 'no_such_bucket');
    await assertRejects(lifecycle.deleteLifecycle(missingBucket, noContext), 'no_such_bucket');
  });
}

function sweeps({ test }: Suite): void {
  test('sweeps without touching objects', async (t) => {
    const maintenance = requireAbility(t.backend, 'maintenance');
    await t.put(t.at('object'), 'kept');
    const among = async (): Promise<readonly string[]> => [t.bucket]; // others may be working in other buckets of the account
    const preview = await maintenance.sweep({ olderThan: 0, dryRun: true, among }, noContext);
    const swept = await maintenance.sweep({ olderThan: 0, among }, noContext);
    for (const report of [preview, swept]) assert.ok(report.removed >= 0 && report.bytes >= 0);
    await t.assertHolds(t.at('object'), 'kept');
    assert.deepEqual(await maintenance.sweep({ olderThan: 0, dryRun: true, among }, noContext), { removed: 0, bytes: 0 });
  });

  test('leaves an upload that is under way alone while it is young, or is only counted', async (t) => {
    const maintenance = requireAbility(t.backend, 'maintenance');
    const data = Buffer.alloc(6_000_000, 'a');
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    const upload = t.putBody(t.at('slow'), streamBody(streamUntil(gate, data), data.length));
    const among = async (): Promise<readonly string[]> => [t.bucket];
    try {
      await delay(50);
      await maintenance.sweep({ olderThan: 0, dryRun: true, among }, noContext);
      await maintenance.sweep({ olderThan: 3600, among }, noContext);
    } finally {
      release();
    }
    await upload;
    assertSameBytes(await t.read(t.at('slow')), data);
  });
}
