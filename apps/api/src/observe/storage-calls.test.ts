import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { uploadFile } from '../testing/files.ts';
import { startApi } from '../testing/start-api.ts';
import type { TestApi } from '../testing/start-api.ts';
import { acme, admin, as } from '../testing/tokens.ts';

describe('the log of what the storage does', () => {
  let api: TestApi;

  beforeAll(async () => {
    api = await startApi({ STORAGE_ENABLE_MULTI_TENANCY: 'true' });
  });
  afterAll(() => api.stop());

  it('names the request that each call was made for', async () => {
    const ann = await as('ann', { tenant: acme });
    const root = await admin();
    const { id } = (await uploadFile(api, ann, 'x', { fields: { is_public: 'true' } })).json;
    const { json: begun } = await api.send('POST', '/api/v1/files/presigned-upload', {
      headers: ann,
      json: { filename: 'a', content_type: 'text/plain', size_bytes: 0 },
    });
    const files = '/api/v1/files';
    const storage = '/api/v1/storage';
    const of = (key: string) => ({ bucket: 'logged', key });
    const requests: readonly [headers: object, request: string, json?: unknown][] = [
      [ann, `GET ${files}/${id}/download`],
      [ann, `HEAD ${files}/${id}/download`],
      [ann, `GET ${files}/${id}/download?redirect=true`],
      [ann, `POST ${files}/${id}/presigned-download`, {}],
      [{}, `GET /api/v1/public/files/${id}`],
      [{}, `HEAD /api/v1/public/files/${id}`],
      [ann, `POST ${files}/presigned-upload`, { filename: 'a', content_type: 'text/plain', size_bytes: 0 }],
      [ann, `POST ${files}/${begun.file_id}/complete`],
      [ann, `DELETE ${files}/${id}`],
      [root, `POST ${storage}/buckets`, { name: 'logged' }],
      [root, `GET ${storage}/buckets`],
      [root, `GET ${storage}/buckets/logged`],
      [root, `GET ${storage}/buckets/logged/acl`],
      [root, `PUT ${storage}/buckets/logged/acl`, { acl: 'private' }],
      [root, `PUT ${storage}/objects/a?bucket=logged`, 'x'],
      [root, `GET ${storage}/objects/a?bucket=logged`],
      [root, `HEAD ${storage}/objects/a?bucket=logged`],
      [root, `GET ${storage}/objects?bucket=logged`],
      [root, `GET ${storage}/objects/a/acl?bucket=logged`],
      [root, `PUT ${storage}/objects/a/acl?bucket=logged`, { acl: 'private' }],
      [root, `POST ${storage}/copy`, { source: of('a'), destination: of('b') }],
      [root, `POST ${storage}/move`, { source: of('a'), destination: of('c') }],
      [root, `POST ${storage}/delete`, { bucket: 'logged', keys: ['b'] }],
      [root, `DELETE ${storage}/objects/c?bucket=logged`],
      [root, `DELETE ${storage}/buckets/logged?force=true`],
      [root, 'POST /api/v1/admin/tenants/logged/provision-storage', { tenant_slug: 'logged' }],
      [root, 'DELETE /api/v1/admin/tenants/logged?force=true'],
    ];
    for (const [index, [headers, request, json]] of requests.entries()) {
      api.log.length = 0;
      const [method = '', path = ''] = request.split(' ');
      const { status } = await api.send(method, path, {
        headers: { ...headers, 'x-request-id': `call-${index}` },
        ...(json !== undefined && { json }),
      });
      await expect.poll(() => api.log.filter(({ msg }) => msg === 'request').length).toBe(1);
      const calls = api.log.filter(({ msg }) => msg === 'storage').map(({ request_id: of }) => of);
      expect({ request, status, calls: [...new Set(calls)] }).toEqual({ request, status, calls: [`call-${index}`] });
    }
  });
});
