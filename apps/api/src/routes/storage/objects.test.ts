import { createHash } from 'node:crypto';

import { storageError } from '@coffer/storage-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';

import { onEachBackend, where } from '../../testing/on-each-backend.ts';
import type { TestApi } from '../../testing/start-api.ts';
import { admin } from '../../testing/tokens.ts';

const md5 = (text: string): string => createHash('md5').update(text).digest('hex');

onEachBackend('objects', ({ start, bucket, abilities }) => {
  let api: TestApi;
  let headers: { authorization: string };
  const send: TestApi['send'] = (method, path, options = {}) =>
    api.send(method, `/api/v1/storage/objects${path}`, { ...options, headers: { ...headers, ...options.headers } });
  const put = (key: string, body = 'x', extra = {}) => send('PUT', `/${key}`, { body, headers: extra });

  beforeAll(async () => {
    api = await start();
    headers = await admin();
    await api.send('POST', '/api/v1/storage/buckets', { headers, json: { name: bucket('other') } });
  });
  afterAll(() => api.stop());

  describe('that are listed', () => {
    const [object, folder] = abilities.hidesKeysBelowObjects ? ['list/a.', 'list/a/'] : ['list/a', 'list/a/'];
    const keys = [object, `${folder}b`, `${folder}c`, 'list/b', 'list/ä', 'list/😀', 'list/\uffee'];

    beforeAll(async () => {
      for (const key of keys) await put(encodeURI(key), key);
    });

    it('come with everything that a list tells of them', async () => {
      const { status, json } = await send('GET', '?prefix=list/a/&max_keys=1000');
      expect(status).toBe(200);
      expect(json).toEqual({
        objects: ['list/a/b', 'list/a/c'].map((key) => ({
          key,
          size_bytes: key.length,
          etag: md5(key),
          last_modified: expect.stringMatching(/^\d{4}-.*Z$/),
          storage_class: 'STANDARD',
        })),
        common_prefixes: [],
        is_truncated: false,
      });
      for (const { key, last_modified: changed } of json.objects)
        expect((await send('HEAD', `/${key}`)).headers['last-modified']).toBe(new Date(changed as string).toUTCString());
      expect((await send('GET', '?prefix=list/a/')).json).toEqual(json);
    });

    it('come in pages, in the order of their bytes', async () => {
      const found: string[] = [];
      let token: string | undefined;
      do {
        const { json } = await send(
          'GET',
          `/?prefix=list/&max_keys=2${token === undefined ? '' : `&continuation_token=${encodeURIComponent(token)}`}`,
        );
        expect(json.is_truncated).toBe(json.next_continuation_token !== undefined);
        found.push(...json.objects.map((object: { key: string }) => object.key));
        token = json.next_continuation_token;
      } while (token !== undefined);
      expect(found).toEqual(keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
    });

    it('are rolled up by a delimiter', async () => {
      const { json } = await send('GET', '?prefix=list/&delimiter=/');
      expect(json.common_prefixes).toEqual(['list/a/']);
      expect(json.objects.map((object: { key: string }) => object.key)).toEqual([object, 'list/b', 'list/ä', 'list/\uffee', 'list/😀']);
    });

    it('are an empty list where there are none', async () => {
      const nothing = { objects: [], common_prefixes: [], is_truncated: false };
      expect((await send('GET', `?bucket=${bucket('other')}`)).json).toEqual(nothing);
      expect((await send('GET', '?prefix=nothing')).json).toEqual(nothing);
    });

    it.each([
      'max_keys=0',
      'max_keys=1001',
      'max_keys=1e9',
      'max_keys=abc',
      'max_keys=-1',
      'max_keys=',
      'max_keys=1.5',
      'max_keys=0x10',
      'max_keys=%201',
      'max_keys=99999999999999999999',
      'max_keys=1&max_keys=2',
      `prefix=${'a'.repeat(1025)}`,
      `prefix=${'%C3%BC'.repeat(513)}`,
      'prefix=%00',
      'prefix=%ff',
      'prefix=a%',
      'delimiter=%00',
      `bucket=${bucket('other')}&bucket=${bucket('other')}`,
      `continuation_token=${'a'.repeat(5000)}`,
    ])('are not listed by %s', async (query) => {
      expect(await send('GET', `?${query}`)).toMatchObject({
        status: 400,
        json: { code: 'validation_failed', errors: [{ field: query.split('=')[0], message: expect.any(String) }] },
      });
    });

    it('are not listed from a token that is not from the same list', async () => {
      const { json } = await send('GET', '?prefix=list/&max_keys=2');
      const others = encodeURIComponent(json.next_continuation_token as string);
      for (const token of ['', '!', 'abc', '../..', '%F0%9F%98%80', '%00', others, `${others}A`]) {
        expect(await send('GET', `?continuation_token=${token}`)).toMatchObject({ status: 400, json: { code: 'validation_failed' } });
      }
      const begun = others.slice(0, 11); // the tag that binds it to the list, without the provider's token
      for (const [list, token] of [
        ['prefix=list', others],
        ['prefix=list/&delimiter=/', others],
        ['prefix=list&delimiter=/', others],
        [`prefix=list/&bucket=${bucket('other')}`, others],
        ['prefix=list/', begun],
        ['prefix=list/', `${begun}AA`],
        ['prefix=list/', `${others}=`],
        ['prefix=list/', others.slice(0, -4)],
        ['prefix=list/', `${others.slice(0, 16)}${others[16] === 'A' ? 'B' : 'A'}${others.slice(17)}`],
      ])
        expect(await send('GET', `?${list}&continuation_token=${token}`)).toMatchObject({
          status: 400,
          json: { errors: [{ field: 'continuation_token', message: expect.stringContaining('start again') }] },
        });
      expect(await send('GET', `?bucket=${bucket('no-such-bucket')}`)).toMatchObject({ status: 404, json: { code: 'no_such_bucket' } });
    });
  });

  it('are deleted, there or not', async () => {
    await put('gone');
    for (let times = 0; times < 2; times++) expect(await send('DELETE', '/gone')).toMatchObject({ status: 204, text: '' });
    expect(await send('GET', '/gone')).toMatchObject({ status: 404, json: { code: 'file_not_found' } });
    expect(await send('DELETE', `/gone?bucket=${bucket('no-such-bucket')}`)).toMatchObject({
      status: 404,
      json: { code: 'no_such_bucket' },
    });
  });

  it('are deleted only in the state that the request asks for', async () => {
    const past = new Date(0).toUTCString();
    const { etag = '' } = (await put('guarded')).headers;
    for (const condition of [
      { 'if-match': '"other"' },
      { 'if-none-match': '*' },
      { 'if-none-match': etag },
      { 'if-unmodified-since': past },
    ]) {
      expect(await send('DELETE', '/guarded', { headers: condition })).toMatchObject({
        status: 412,
        json: { code: 'precondition_failed' },
      });
    }
    expect(await send('GET', '/guarded')).toMatchObject({ status: 200, text: 'x' });
    const held = { 'if-match': etag, 'if-modified-since': new Date().toUTCString() }; // the latter applies only to reads
    expect(await send('DELETE', '/guarded', { headers: held })).toMatchObject({ status: 204 });
    expect(await send('DELETE', '/guarded', { headers: { 'if-match': '*' } })).toMatchObject({ status: 412 });
    expect(await send('DELETE', '/guarded', { headers: { 'if-none-match': '*' } })).toMatchObject({ status: 204 });
  });

  it('are not deleted on a condition while nobody can tell their state', async () => {
    await send('PUT', '/unknown', { body: 'x' });
    const looking = vi.spyOn(api.runtime.storage, 'getFileInfo').mockRejectedValue(storageError('storage_unavailable', 'away'));
    onTestFinished(() => looking.mockRestore());
    for (const headers of [{ 'if-none-match': '"x"' }, { 'if-unmodified-since': new Date().toUTCString() }])
      expect(await send('DELETE', '/unknown', { headers })).toMatchObject({ status: 503, json: { code: 'storage_unavailable' } });
    expect(await send('GET', '/unknown')).toMatchObject({ status: 200, text: 'x' });
  });

  it('are not deleted on a condition if they are replaced once they have been looked at', async () => {
    const { storage } = api.runtime;
    const look = storage.getFileInfo.bind(storage);
    const looking = vi.spyOn(storage, 'getFileInfo').mockImplementation(async (...asked) => {
      try {
        return await look(...asked);
      } finally {
        await put('replaced', 'newer');
      }
    });
    onTestFinished(() => looking.mockRestore());
    const { etag = '' } = (await put('replaced', 'older')).headers;
    const future = new Date(Date.now() + 3_600_000).toUTCString();
    for (const condition of [{ 'if-unmodified-since': future }, { 'if-none-match': '"x"' }, { 'if-match': `"x", ${etag}` }]) {
      await put('replaced', 'older');
      expect(await send('DELETE', '/replaced', { headers: condition })).toMatchObject({ status: 412 });
      expect(await send('GET', '/replaced')).toMatchObject({ status: 200, text: 'newer' });
    }
    // What is written where nothing was, or is just what may not be deleted.
    const newest = { 'if-match': '*', 'if-none-match': (await put('replaced', 'newer')).headers.etag ?? '' };
    for (const [before, condition, status] of [
      [undefined, { 'if-none-match': '*' }, 204],
      [undefined, { 'if-none-match': '"x"' }, 204],
      [undefined, { 'if-unmodified-since': future }, 204],
      ['older', newest, 412],
    ] as const) {
      await (before === undefined ? send('DELETE', '/replaced') : put('replaced', before));
      expect(await send('DELETE', '/replaced', { headers: condition })).toMatchObject({ status });
      expect(await send('GET', '/replaced')).toMatchObject({ status: 200, text: 'newer' });
    }
    looking.mockClear();
    expect(await send('DELETE', '/replaced', { headers: { 'if-match': etag } })).toMatchObject({ status: 412 });
    expect(looking).not.toHaveBeenCalled(); // this condition is the backend's to compare
    expect(await send('DELETE', '/replaced', { headers: { 'if-match': '*' } })).toMatchObject({ status: 204 });
    expect(await send('HEAD', '/replaced')).toMatchObject({ status: 404 });
  });

  it('are deleted in batches, where a bad key is an error of its own', async () => {
    for (const key of ['batch/1', 'batch/2']) await put(key);
    const { status, json } = await api.send('POST', '/api/v1/storage/delete', {
      headers,
      json: { keys: ['batch/1', 'batch/absent', '../x', '', 'batch/2', 'batch/2', 'a\0b', '/x', '\ud800'] },
    });
    expect(status).toBe(200);
    expect(json.deleted.toSorted()).toEqual(['batch/1', 'batch/2', 'batch/absent']);
    expect(json.errors).toEqual(expect.arrayContaining(['../x', '', 'a\0b', '/x'].map((key) => ({ key, code: 'invalid_key' }))));
    expect(json.errors).toHaveLength(5);
    expect((await send('GET', '?prefix=batch/')).json.objects).toEqual([]);
  });

  it.each([
    {},
    { keys: [] },
    { keys: 'a' },
    { keys: [1] },
    { keys: [null] },
    { keys: Array.from({ length: 1001 }, (_, n) => `k${n}`) },
    { keys: ['a'], bucket: 1 },
  ])('are not deleted by %.60j', async (json) => {
    expect(await api.send('POST', '/api/v1/storage/delete', { headers, json })).toMatchObject({
      status: 400,
      json: { code: 'validation_failed' },
    });
  });

  it('are deleted a thousand at once', async () => {
    // Keys of the greatest length, escaped as Python does: three megabytes of JSON.
    const keys = Array.from({ length: 1000 }, (_, n) => `${String(n).padStart(4, '0')}${`/${'ü'.repeat(126)}`.repeat(4)}/abc`);
    const { status, json } = await api.send('POST', '/api/v1/storage/delete/', {
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ keys, bucket: bucket('other') }).replaceAll('ü', String.raw`\u00fc`),
    });
    expect(status).toBe(200);
    expect(json).toEqual({ deleted: expect.any(Array), errors: [] });
    expect(json.deleted.toSorted()).toEqual(keys);
    expect(
      await api.send('POST', '/api/v1/storage/delete', { headers, json: { keys: ['a'], bucket: bucket('no-such-bucket') } }),
    ).toMatchObject({
      status: 404,
      json: { code: 'no_such_bucket' },
    });
  });

  it('are copied and moved, with type and ACL', async () => {
    await put('from', 'bytes', { 'content-type': 'text/x-own' });
    if (abilities.acl) await send('PUT', '/from/acl', { json: { acl: 'public-read' } });
    const object = { etag: md5('bytes'), size_bytes: 5, content_type: 'text/x-own', storage_class: 'STANDARD' };
    const copy = await api.send('POST', '/api/v1/storage/copy', {
      headers,
      json: { source: { key: 'from' }, destination: { bucket: bucket('other'), key: 'to/ü' } },
    });
    expect(copy).toMatchObject({ status: 200 });
    expect(copy.json).toEqual({ bucket: bucket('other'), key: 'to/ü', ...object });
    if (abilities.acl) expect((await send('GET', `/to/%C3%BC/acl?bucket=${bucket('other')}`)).json.grants).toHaveLength(2);
    const storageClass = abilities.otherClass ?? 'STANDARD';
    const moved = await api.send('POST', '/api/v1/storage/move', {
      headers,
      json: {
        source: { bucket: bucket('other'), key: 'to/ü' },
        destination: { key: 'back' },
        acl: 'private',
        storage_class: storageClass,
      },
    });
    expect(moved.json).toEqual({ bucket: bucket('coffer-uploads'), key: 'back', ...object, storage_class: storageClass });
    expect(await send('GET', `/to/%C3%BC?bucket=${bucket('other')}`)).toMatchObject({ status: 404 });
    if (abilities.acl) expect((await send('GET', '/back/acl')).json.grants).toHaveLength(1);
    const self = await api.send('POST', '/api/v1/storage/move', {
      headers,
      json: { source: { key: 'back' }, destination: { key: 'back' } },
    });
    expect(self).toMatchObject({ status: 200 });
    expect((await send('GET', '/back')).text).toBe('bytes');
  });

  it.each(['copy', 'move'])('that are missing or have an invalid key make no %s', async (verb) => {
    const attempt = (json: unknown) => api.send('POST', `/api/v1/storage/${verb}`, { headers, json });
    await put('here');
    expect(await attempt({ source: { key: 'absent' }, destination: { key: 'x' } })).toMatchObject({
      status: 404,
      json: { code: 'file_not_found' },
    });
    expect(await attempt({ source: { key: 'here' }, destination: { key: 'x', bucket: bucket('no-such-bucket') } })).toMatchObject({
      status: 404,
      json: { code: 'no_such_bucket' },
    });
    expect(await attempt({ source: { key: 'here', bucket: bucket('no-such-bucket') }, destination: { key: 'x' } })).toMatchObject({
      status: 404,
      json: { code: 'no_such_bucket' },
    });
    for (const key of ['', '../x', '/x', 'a\0'])
      expect(await attempt({ source: { key: 'here' }, destination: { key } })).toMatchObject({
        status: 400,
        json: { code: 'invalid_key' },
      });
    expect(await attempt({ source: { key: 'here' }, destination: { key: 'x', bucket: 'NO' } })).toMatchObject({
      status: 400,
      json: { code: 'invalid_bucket_name' },
    });
    expect(await attempt({ source: { key: 'here' }, destination: { key: 'x' }, acl: 'open' })).toMatchObject({
      status: 400,
      json: { code: 'validation_failed', errors: [{ field: 'acl' }] },
    });
    expect(await attempt({ source: { key: 'here' }, destination: { key: 'x' }, storage_class: 'COLD' })).toMatchObject({
      status: 400,
      json: { code: 'invalid_argument' },
    });
    for (const json of [
      {},
      { source: 'here', destination: 'x' },
      { source: { key: 'here' } },
      { source: { key: 1 }, destination: { key: 'x' } },
    ]) {
      expect(await attempt(json)).toMatchObject({ status: 400, json: { code: 'validation_failed' } });
    }
    expect((await send('GET', '/here')).status).toBe(200);
  });

  const cannedAcls = [
    'private',
    'public-read',
    'public-read-write',
    'authenticated-read',
    'aws-exec-read',
    'bucket-owner-read',
    'bucket-owner-full-control',
  ];

  where(!abilities.acl, () =>
    it('have no ACLs where the provider has none', async () => {
      await put('acl-test');
      const unsupported = { status: 501, json: { code: 'acl_not_supported' } };
      expect(await send('GET', '/acl-test/acl')).toMatchObject(unsupported);
      for (const acl of cannedAcls) expect(await send('PUT', '/acl-test/acl', { json: { acl } })).toMatchObject(unsupported);
      const copy = { source: { key: 'acl-test' }, destination: { key: 'copied' }, acl: 'public-read' };
      expect(await api.send('POST', '/api/v1/storage/copy', { headers, json: copy })).toMatchObject(unsupported);
      expect(await send('GET', '/copied')).toMatchObject({ status: 404 });
    }),
  );

  where(abilities.acl, () =>
    it('have any canned ACL, and say who may what', async () => {
      await put('acl-test');
      for (const acl of cannedAcls) {
        const set = await send('PUT', '/acl-test/acl', { json: { acl } });
        if (abilities.refusedAcls.includes(acl)) {
          expect(set).toMatchObject({ status: 400, json: { code: 'invalid_argument' } });
          continue;
        }
        expect(set.status).toBe(200);
        expect((await send('GET', '/acl-test/acl')).json).toEqual(set.json);
      }
      const { owner, grants } = (await send('PUT', '/acl-test/acl', { json: { acl: 'public-read' } })).json;
      expect(owner).toEqual({ display_name: expect.any(String), id: expect.any(String) });
      expect(grants).toHaveLength(2);
      expect(grants).toContainEqual({ grantee: { type: 'CanonicalUser', ...owner }, permission: 'FULL_CONTROL' });
      const everybody = { type: 'Group', uri: 'http://acs.amazonaws.com/groups/global/AllUsers' };
      expect(grants).toContainEqual({ grantee: everybody, permission: 'READ' });
      for (const json of [{}, { acl: 'open' }, { acl: 1 }, []])
        expect(await send('PUT', '/acl-test/acl', { json })).toMatchObject({ status: 400, json: { code: 'validation_failed' } });
      for (const method of ['GET', 'PUT']) {
        const options = method === 'PUT' ? { json: { acl: 'private' } } : {};
        expect(await send(method, '/absent/acl', options)).toMatchObject({ status: 404, json: { code: 'file_not_found' } });
        expect(await send(method, `/x/acl?bucket=${bucket('no-such-bucket')}`, options)).toMatchObject({
          status: 404,
          json: { code: 'no_such_bucket' },
        });
      }
    }),
  );
});
