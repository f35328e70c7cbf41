import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { uploadFile } from './testing/files.ts';
import { startApi } from './testing/start-api.ts';
import type { TestApi } from './testing/start-api.ts';
import { acme, admin, as } from './testing/tokens.ts';

describe('a parameter that nobody knows', () => {
  let api: TestApi;
  let headers: { authorization: string };
  beforeAll(async () => {
    api = await startApi();
    headers = await admin();
  });
  afterAll(() => api.stop());

  it.each([
    ['PUT', '/storage/objects/kept?bukcet=b&acl=private', 'bukcet'],
    ['DELETE', '/storage/objects/kept?bukcet=b', 'bukcet'],
    ['DELETE', '/storage/buckets/some-bucket?foce=true', 'foce'],
    ['DELETE', '/storage/buckets/some-bucket/lifecycle?id=old', 'id'],
    ['POST', '/storage/delete?bucket=b', 'bucket'],
    ['POST', '/storage/objects/kept?bukcet=b', 'bukcet'],
    ['POST', '/files/x/complete?size=1', 'size'],
  ])('is refused where something would change: %s %s', async (method, path, field) => {
    await api.send('PUT', '/api/v1/storage/objects/kept', { headers, body: 'kept' });
    const body = method === 'DELETE' ? {} : { body: method === 'PUT' ? 'new' : '{"keys":["kept"]}' };
    const type = method === 'POST' ? { 'content-type': 'application/json' } : {};
    expect(await api.send(method, `/api/v1${path}`, { headers: { ...headers, ...type }, ...body })).toMatchObject({
      status: 400,
      json: { code: 'validation_failed', errors: [{ field, message: 'is no field of this request' }] },
    });
    expect((await api.send('GET', '/api/v1/storage/objects/kept', { headers })).text).toBe('kept');
  });

  it('is nothing to what is read, nor a field to a form: browsers, caches and their libraries add some', async () => {
    const ann = await as('ann', { tenant: acme });
    const { json: file } = await uploadFile(api, ann, 'hello', { fields: { name: 'x', chunk: '0', is_public: 'true' } });
    for (const path of [`/public/files/${file.id}?_=1&utm_source=x`, `/files/${file.id}/download?_=1`, '/files?_=1'])
      expect(await api.send('GET', `/api/v1${path}`, { headers: ann })).toMatchObject({ status: 200 });
    expect(await api.send('HEAD', `/api/v1/public/files/${file.id}?_=1`, {})).toMatchObject({ status: 200 });
  });
});
