import assert from 'node:assert/strict';

import { noContext } from '../context.ts';
import { hasCode } from '../errors.ts';
import { wrapBackend } from '../layers/wrap-backend.ts';
import type { ObjectAddress } from '../object.ts';
import { StorageService } from '../storage-service.ts';
import { assertRejects, missingBucket } from './harness.ts';
import type { Subject, Suite } from './harness.ts';

function remove(t: Subject, at: ObjectAddress, etag: string): Promise<void> {
  assert.ok(t.backend.deleteIfMatch !== undefined, 'the backend deletes on a condition');
  return t.backend.deleteIfMatch(at, etag, noContext);
}

function unlessRefused(removing: Promise<void>): Promise<void> {
  return removing.catch((error: unknown) => assert.ok(hasCode(error, 'precondition_failed'), String(error)));
}

export function conditionalDeletes(suite: Suite): void {
  suite.describe('conditional deletes', () => {
    deletes(suite);
    moves(suite);
  });
}

function deletes({ test }: Suite): void {
  test('remove an object while it has the ETag, and nothing else', async (t) => {
    const { etag } = await t.put(t.at('a'), 'first');
    await Promise.all(['ab', 'A'].map((name) => t.put(t.at(name), 'first')));
    for (const other of ['other', '*', '', `"${etag}"`, 'x\r\ny'])
      await assertRejects(remove(t, t.at('a'), other), 'precondition_failed', other);
    const second = await t.put(t.at('a'), 'second');
    await assertRejects(remove(t, t.at('a'), etag), 'precondition_failed');
    await t.assertHolds(t.at('a'), 'second');
    await remove(t, t.at('a'), second.etag);
    await t.assertAbsent(t.at('a'));
    assert.deepEqual(await t.keys(), ['A', 'ab']);
  });

  test('may take an object that is not there for deleted', async (t) => {
    await unlessRefused(remove(t, t.at('none'), 'etag'));
    await assertRejects(remove(t, { bucket: missingBucket, key: 'none' }, 'etag'), 'no_such_bucket');
  });

  test('leave what is written at the same moment', async (t) => {
    for (let round = 0; round < 20; round++) {
      const at = t.at(`contended ${round}`);
      const { etag } = await t.put(at, 'old');
      await Promise.all([unlessRefused(remove(t, at, etag)), t.put(at, 'new')]);
      await t.assertHolds(at, 'new');
    }
  });
}

function moves({ test }: Suite): void {
  test('are told the ETag of the source by a copy', async (t) => {
    const { etag } = await t.put(t.at('from'), 'bytes');
    const { sourceEtag } = await t.backend.copy(t.at('from'), t.at('to'), {}, noContext);
    assert.equal(sourceEtag, etag);
  });

  test('keep a move from deleting what is written to its source meanwhile', async (t) => {
    const inner = wrapBackend(t.backend);
    const backend: typeof inner = {
      ...inner,
      async copy(source, destination, options, ctx) {
        const copied = await inner.copy(source, destination, options, ctx);
        await t.put(source, 'written meanwhile');
        return copied;
      },
    };
    const service = new StorageService({ backend, defaultBucket: t.bucket });
    await t.put(t.at('from'), 'moved');
    assert.equal((await service.moveFile({ source: t.at('from').key, destination: t.at('to').key })).key, t.at('to').key);
    await t.assertHolds(t.at('to'), 'moved');
    await t.assertHolds(t.at('from'), 'written meanwhile');
  });
}
