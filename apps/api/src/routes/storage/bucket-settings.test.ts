import { GetBucketLifecycleConfigurationCommand, PutBucketLifecycleConfigurationCommand } from '@aws-sdk/client-s3';
import type { LifecycleRule } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { onEachBackend, where } from '../../testing/on-each-backend.ts';
import type { ApiOnBackend } from '../../testing/on-each-backend.ts';
import { clientOf } from '../../testing/stored.ts';
import { admin } from '../../testing/tokens.ts';

const unsupported = { status: 501, json: { code: 'not_supported' } };

onEachBackend('the settings of a bucket', ({ start, bucket, abilities, server }) => {
  let api: ApiOnBackend;
  let headers: { authorization: string };
  const name = bucket('set');
  const send: ApiOnBackend['send'] = (method, path, options) =>
    api.send(method, `/api/v1/storage/buckets/${name}${path}`, { headers, ...options });
  const object: ApiOnBackend['send'] = (method, key, options) =>
    api.send(method, `/api/v1/storage/objects/${key}?bucket=${name}`, { headers, ...options });

  beforeAll(async () => {
    api = await start();
    headers = await admin();
    await api.send('POST', '/api/v1/storage/buckets', { headers, json: { name } });
  });
  afterAll(() => api.stop());

  it('are checked before the provider is asked', async () => {
    expect(await send('PUT', '/versioning', { json: { enabled: 'yes' } })).toMatchObject({
      status: 400,
      json: { code: 'validation_failed' },
    });
    for (const [rule, field] of [
      [{ expire_days: 0 }, 'rules.0.expire_days'],
      [{ expire_days: 1.5 }, 'rules.0.expire_days'],
      [{ expire_days: 36_501 }, 'rules.0.expire_days'],
      [{ abort_multipart_days: 0 }, 'rules.0.abort_multipart_days'],
      [{ id: '', expire_days: 1 }, 'rules.0.id'],
      [{ id: 'x'.repeat(256), expire_days: 1 }, 'rules.0.id'],
      [{ id: '\ud800', expire_days: 1 }, 'rules.0.id'],
      [{ prefix: 'tmp/\ud800', expire_days: 1 }, 'rules.0.prefix'],
      [{ prefix: 'é'.repeat(513), expire_days: 1 }, 'rules.0.prefix'],
      [{ transition: { days: 1 } }, 'rules.0.transition.storage_class'],
      [{ transition: { days: 1, storage_class: '' } }, 'rules.0.transition.storage_class'],
      [{ transition: { days: 1, storage_class: 'X'.repeat(65) } }, 'rules.0.transition.storage_class'],
      [{ transition: { days: -1, storage_class: 'GLACIER' } }, 'rules.0.transition.days'],
      [{ transition: { days: 36_501, storage_class: 'GLACIER' } }, 'rules.0.transition.days'],
    ] as const)
      expect(await send('PUT', '/lifecycle', { json: { rules: [{ id: 'tmp', prefix: '', ...rule }] } })).toMatchObject({
        status: 400,
        json: { errors: [{ field }] },
      });
    const twice = { id: 'tmp', prefix: '', expire_days: 1 };
    for (const [rules, field] of [
      [[twice, twice], 'rules.1.id'],
      [Array.from({ length: 1001 }, (_, n) => ({ ...twice, id: `${n}` })), 'rules'],
      [[], 'rules'],
    ] as const)
      expect(await send('PUT', '/lifecycle', { json: { rules } })).toMatchObject({
        status: 400,
        json: { code: 'validation_failed', errors: [{ field }] },
      });
  });

  where(!abilities.versioning, () =>
    it('have no versions where the backend has none', async () => {
      expect(await send('GET', '/versioning')).toMatchObject(unsupported);
      expect(await send('PUT', '/versioning', { json: { enabled: true } })).toMatchObject(unsupported);
    }),
  );

  where(!abilities.lifecycle, () =>
    it('have no lifecycle where the backend has none', async () => {
      const rules = [
        { id: 'tmp', prefix: 'tmp/', expire_days: 7, abort_multipart_days: 1, transition: { days: 30, storage_class: 'GLACIER' } },
        { id: 'x'.repeat(255), prefix: '', abort_multipart_days: 36_500 },
        { id: 'at once', prefix: 'é'.repeat(512), transition: { days: 0, storage_class: 'X'.repeat(64) } },
        ...Array.from({ length: 997 }, (_, n) => ({ id: `${n}`, prefix: '', expire_days: 1 })),
      ];
      expect(await send('GET', '/lifecycle')).toMatchObject(unsupported);
      expect(await send('PUT', '/lifecycle', { json: { rules } })).toMatchObject(unsupported);
      expect(await send('DELETE', '/lifecycle')).toMatchObject(unsupported);
    }),
  );

  where(abilities.versioning, () =>
    describe('with versions', () => {
      it('are switched on and off, and the answers to uploads tell the version', async () => {
        expect(await send('GET', '/versioning')).toMatchObject({ status: 200, json: { enabled: false } });
        expect((await object('PUT', 'v', { body: '1' })).json).not.toHaveProperty('version_id');
        expect(await send('PUT', '/versioning', { json: { enabled: true } })).toMatchObject({ status: 200, json: { enabled: true } });
        expect(await send('GET', '/versioning')).toMatchObject({ status: 200, json: { enabled: true } });
        expect((await send('GET', '')).json).toMatchObject({ versioning_enabled: true });
        const versions = [(await object('PUT', 'v', { body: '2' })).json, (await object('PUT', 'v', { body: '3' })).json].map(
          ({ version_id: id }) => id as string,
        );
        expect(versions).toEqual([expect.stringMatching(/./), expect.stringMatching(/./)]);
        expect(new Set(versions).size).toBe(2);
        expect((await object('GET', 'v')).text).toBe('3');
        expect(await send('PUT', '/versioning', { json: { enabled: false } })).toMatchObject({ status: 200, json: { enabled: false } });
        expect(await send('GET', '/versioning')).toMatchObject({ json: { enabled: false } });
        await send('PUT', '/versioning', { json: { enabled: true } });
      });

      it('hide deleted objects, and are deleted with them only by force', async () => {
        expect(await object('DELETE', 'v')).toMatchObject({ status: 204 });
        expect(await object('GET', 'v')).toMatchObject({ status: 404, json: { code: 'file_not_found' } });
        expect((await api.send('GET', `/api/v1/storage/objects?bucket=${name}`, { headers })).json.objects).toEqual([]);
        expect(await api.stored()).not.toEqual([]);
        expect(await send('DELETE', '')).toMatchObject({ status: 409, json: { code: 'bucket_not_empty' } });
        expect(await send('DELETE', '?force=true')).toMatchObject({ status: 204 });
        expect(await send('GET', '')).toMatchObject({ status: 404 });
        expect(await api.stored()).toEqual([]);
        await api.send('POST', '/api/v1/storage/buckets', { headers, json: { name } });
      });
    }),
  );

  where(abilities.lifecycle, () =>
    describe('with lifecycle rules', () => {
      const rules = [
        { id: 'tmp', prefix: 'tmp/', expire_days: 7 },
        { id: 'all', prefix: '', expire_days: 365 },
      ];

      it('are read as they were written, until they are removed', async () => {
        expect(await send('PUT', '/lifecycle', { json: { rules } })).toMatchObject({ status: 200, json: { rules } });
        const { status, json } = await send('GET', '/lifecycle');
        expect(status).toBe(200);
        expect(json.rules).toHaveLength(2);
        expect(json.rules).toEqual(expect.arrayContaining(rules));
        expect(await send('PUT', '/lifecycle', { json: { rules: [] } })).toMatchObject({
          status: 400,
          json: { errors: [{ field: 'rules', message: expect.stringContaining('DELETE') }] },
        });
        expect(await send('DELETE', '/lifecycle')).toMatchObject({ status: 204, text: '' });
        expect(await send('GET', '/lifecycle')).toMatchObject({ status: 200, json: { rules: [] } });
        expect(await send('DELETE', '/lifecycle')).toMatchObject({ status: 204 });
      });

      it('stay as another tool has made them when they are written as they were read', async () => {
        const Filter = { Prefix: 'tmp/' };
        const Rules: LifecycleRule[] = [
          { ID: 'old versions', Status: 'Enabled', Filter, NoncurrentVersionExpiration: { NoncurrentDays: 5 } },
          { ID: 'markers', Status: 'Enabled', Filter, Expiration: { ExpiredObjectDeleteMarker: true } },
          { ID: 'dated', Status: 'Enabled', Filter, Expiration: { Date: new Date('2090-01-01T00:00:00Z') } },
          { ID: 'off', Status: 'Disabled', Filter, Expiration: { Days: 1 } },
        ];
        const client = clientOf(server!);
        const written = async (): Promise<unknown> =>
          (await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket: name }))).Rules;
        await client.send(new PutBucketLifecycleConfigurationCommand({ Bucket: name, LifecycleConfiguration: { Rules } }));
        const before = (await written()) as unknown[];
        const { json } = await send('GET', '/lifecycle');
        expect(json.rules).toHaveLength(3);
        expect(await send('PUT', '/lifecycle', { json })).toMatchObject({ status: 200, json });
        expect(await written()).toEqual(expect.arrayContaining(before));
        const idle = { rules: [{ id: 'idle', prefix: 'tmp/' }] };
        expect(await send('PUT', '/lifecycle', { json: idle })).toMatchObject({ status: 400, json: { code: 'invalid_argument' } });
        expect(await written()).toEqual(expect.arrayContaining(before));
        await send('DELETE', '/lifecycle');
        client.destroy();
      });

      it('abort uploads where the provider lets a rule do so, and are refused where not', async () => {
        const aborting = [{ id: 'abort', prefix: '', abort_multipart_days: 1 }];
        const put = await send('PUT', '/lifecycle', { json: { rules: aborting } });
        if (abilities.abortRule) {
          expect(put).toMatchObject({ status: 200 });
          expect((await send('GET', '/lifecycle')).json).toEqual({ rules: aborting });
        } else expect(put).toMatchObject({ status: 501, json: { code: 'not_supported' } });
        await send('DELETE', '/lifecycle');
      });

      it('move objects to another class where the provider has a place for them', async () => {
        const moving = [{ id: 'move', prefix: 'old/', transition: { days: 30, storage_class: 'STANDARD' } }];
        const put = await send('PUT', '/lifecycle', { json: { rules: moving } });
        if (abilities.transitionRule) {
          expect(put).toMatchObject({ status: 200 });
          expect((await send('GET', '/lifecycle')).json).toEqual({ rules: moving });
        } else expect(put).toMatchObject({ status: 400, json: { code: 'invalid_argument' } });
        await send('DELETE', '/lifecycle');
      });
    }),
  );
});
