import { rm } from 'node:fs/promises';

import type { JWTPayload } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { uploadFile } from '../testing/files.ts';
import { keyFile, sign, testKey } from '../testing/forge.ts';
import type { TestKey } from '../testing/forge.ts';
import { startApi } from '../testing/start-api.ts';
import type { TestApi } from '../testing/start-api.ts';
import { acme, as } from '../testing/tokens.ts';

describe('the API with keys of an identity provider', () => {
  let api: TestApi;
  let key: TestKey;
  let files: Awaited<ReturnType<typeof keyFile>>;
  const issued = { iss: 'https://login.example.com/', aud: 'coffer' };
  const bearer = async (claims: JWTPayload): Promise<{ authorization: string }> => ({
    authorization: `Bearer ${await sign(key.privateKey, { alg: 'ES256', kid: 'k' }, { ...issued, ...claims })}`,
  });

  beforeAll(async () => {
    key = await testKey('ES256', 'k');
    files = await keyFile([key.jwk]);
    api = await startApi({
      AUTH_JWKS_FILE: files.path,
      AUTH_ISSUER: issued.iss,
      AUTH_AUDIENCE: issued.aud,
      AUTH_TENANT_CLAIM: 'https://coffer.example/tenant',
    });
  });
  afterAll(async () => {
    await api.stop();
    await rm(files.directory, { recursive: true });
  });

  it('accepts their tokens, with the tenant under the configured claim or its fallbacks', async () => {
    const pair = { tenant_uuid: acme.uuid, tenant_slug: acme.slug };
    for (const claims of [{ 'https://coffer.example/tenant': pair }, { app_metadata: pair }, pair]) {
      expect(await uploadFile(api, await bearer(claims))).toMatchObject({ status: 201, json: { tenant_uuid: acme.uuid, owner_id: 'ann' } });
    }
    expect(await uploadFile(api, await bearer({ metadata: pair }))).toMatchObject({ status: 201, json: { tenant_uuid: null } });
    expect(await api.send('GET', '/api/v1/storage/buckets', { headers: await bearer({ scope: 'openid admin' }) })).toMatchObject({
      status: 200,
    });
  });

  it('accepts no other tokens', async () => {
    const refused = { status: 401, json: { code: 'unauthorized' } };
    for (const headers of [
      await as('ann'),
      await bearer({ iss: 'https://evil.example/' }),
      await bearer({ aud: 'other' }),
      await bearer({ app_metadata: { tenant_uuid: acme.uuid } }),
    ]) {
      expect(await api.send('GET', '/api/v1/files', { headers })).toMatchObject(refused);
    }
  });
});

describe('the API whose identity provider does not answer', () => {
  it("is unavailable, which is not the token's fault", async () => {
    const api = await startApi({ AUTH_JWKS_URL: 'http://127.0.0.1:9/jwks' });
    const { privateKey } = await testKey('ES256', 'k');
    const headers = { authorization: `Bearer ${await sign(privateKey, { alg: 'ES256', kid: 'k' })}` };
    const answer = await api.send('GET', '/api/v1/files', { headers });
    expect(answer).toMatchObject({ status: 503, json: { code: 'storage_unavailable' }, headers: { 'retry-after': expect.any(String) } });
    expect(answer.headers['www-authenticate']).toBeUndefined();
    expect(answer.text).not.toContain('127.0.0.1');
    expect(await api.send('GET', '/api/v1/files', { headers: await as('ann') })).toMatchObject({ status: 401 });
    await api.stop();
  });
});
