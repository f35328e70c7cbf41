import { noContext } from '@coffer/storage-core';
import type { LifecycleRule, StorageBackend } from '@coffer/storage-core';
import { afterEach, describe, expect, it } from 'vitest';

import type { ExistingRule } from './administration.ts';
import { lifecycleOperations } from './lifecycle.ts';
import type { Store } from './store.ts';
import { transports } from './testing/fault-bench.ts';
import { newStage } from './testing/lean.ts';
import { ok, refusal } from './testing/scripted.ts';
import type { Answer } from './testing/scripted.ts';

const { serve, backendTo, clear } = newStage();
afterEach(clear);

/** A server that accepts all settings, has none yet, and answers a HEAD of the bucket with `ofBucket`. */
const taking =
  (ofBucket: Answer): Answer =>
  (request, response) => {
    const answers: Readonly<Record<string, Answer>> = { HEAD: ofBucket, GET: refusal(404, 'NoSuchLifecycleConfiguration') };
    return (answers[request.method ?? ''] ?? ok)(request, response);
  };
const rules = [{ id: 'old', prefix: '', expireDays: 1, abortMultipartDays: 2 }];

describe.each(transports)('a setting of a bucket (%s)', (transport) => {
  it.each<[string, (backend: StorageBackend) => Promise<void>, ...string[]]>([
    ['rules', ({ lifecycle }) => lifecycle!.setLifecycle('bucket', rules, noContext), 'GET lifecycle', 'PUT lifecycle'],
    ['no rules', ({ lifecycle }) => lifecycle!.setLifecycle('bucket', [], noContext), 'DELETE lifecycle'],
    ['that there are no rules any more', ({ lifecycle }) => lifecycle!.deleteLifecycle('bucket', noContext), 'DELETE lifecycle'],
    ['versions', ({ versioning }) => versioning!.setVersioning('bucket', true, noContext), 'PUT versioning'],
    ['no versions', ({ versioning }) => versioning!.setVersioning('bucket', false, noContext), 'PUT versioning'],
  ])('is sent if the bucket exists or the credentials may not look, but not if it does not exist: %s', async (_what, set, ...sent) => {
    for (const ofBucket of [ok, refusal(403, 'AccessDenied')]) {
      const server = await serve(taking(ofBucket));
      await set(backendTo(server, { transport }));
      const made = server.requests.map(({ method, url = '' }) => `${method} ${/(?<=\?)(?:lifecycle|versioning)/.exec(url)?.[0] ?? ''}`);
      expect(made).toEqual(['HEAD ', ...sent]);
    }
    const server = await serve(taking(refusal(404, 'NoSuchBucket')));
    await expect(set(backendTo(server, { transport }))).rejects.toMatchObject({ code: 'no_such_bucket' });
    expect(server.requests.map(({ method }) => method)).toEqual(['HEAD']);
  });
});

describe('a lifecycle rule', () => {
  const stored: ExistingRule = {
    id: 'old',
    prefix: 'a/',
    expireDays: 30,
    abortMultipartDays: 2,
    transition: { days: 10, storageClass: 'GLACIER' },
    isEnabled: true,
    isNarrower: false,
    raw: undefined,
  };
  const { isEnabled: _isEnabled, isNarrower: _isNarrower, raw: _raw, ...told } = stored;

  const holding = (rule: ExistingRule): { readonly store: Store; readonly written: readonly unknown[] } => {
    const written: unknown[] = [];
    const store = {
      settings: { isAws: true },
      endpoint: { profileIfAllowed: async () => undefined },
      administration: { getRules: async () => [rule], putRules: async (_bucket: string, put: unknown) => written.push(put) },
    } as unknown as Store;
    return { store, written };
  };

  // Credentials may be allowed to set rules and not to find out what the server does with them.
  it.each<Partial<LifecycleRule>>([
    { prefix: 'b/' },
    { expireDays: 31 },
    { abortMultipartDays: 3 },
    { transition: { days: 11, storageClass: 'GLACIER' } },
    { transition: { days: 10, storageClass: 'STANDARD_IA' } },
  ])('is written as it was changed, also if nothing is known of the server: %j', async (change) => {
    const { store, written } = holding(stored);
    await lifecycleOperations(store).setLifecycle('bucket', [{ ...told, ...change }], noContext);
    await lifecycleOperations(store).setLifecycle('bucket', [told], noContext);
    expect(written).toEqual([[{ ...told, ...change }], [stored]]);
  });

  it('that is switched off is on once it is given', async () => {
    const { store, written } = holding({ ...stored, isEnabled: false, isNarrower: true });
    await lifecycleOperations(store).setLifecycle('bucket', [told], noContext);
    expect(written).toEqual([[told]]);
  });
});
