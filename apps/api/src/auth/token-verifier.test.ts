import { createHmac } from 'node:crypto';
import { rm } from 'node:fs/promises';

import { exportSPKI, importJWK } from 'jose';
import { describe, expect, it, onTestFinished, vi } from 'vitest';

import { keyFile, rawToken, sign, testKey } from '../testing/forge.ts';
import { bearerToken, tokenVerifier } from './token-verifier.ts';

const secret = new TextEncoder().encode('a-secret-for-tests-that-is-long-enough');
const good = { alg: 'HS256' };
const now = (): number => Math.floor(Date.now() / 1000);
const unauthorized = { code: 'unauthorized' };

describe('a token signed with the secret', () => {
  const verify = tokenVerifier({ secret, tenantClaim: 'metadata' });
  const fresh = (): typeof verify => tokenVerifier({ secret, tenantClaim: 'metadata' });

  it('gives subject and role', async () => {
    expect(await verify(await sign(secret, good))).toEqual({ subject: 'ann', role: 'user' });
    expect(await verify(await sign(secret, good, { roles: ['admin'] }))).toEqual({ subject: 'ann', role: 'admin' });
    expect(await verify(await sign(secret, good, { scope: 'read service write' }))).toEqual({ subject: 'ann', role: 'service' });
  });

  it('need not expire', async () => {
    expect(await verify(await sign(secret, good, { exp: undefined } as never))).toMatchObject({ subject: 'ann' });
  });

  it('says for which tenant', async () => {
    const token = await sign(secret, good, { metadata: { tenant_uuid: 'B1946AC9-2492-4d23-8f5c-6a3f0a1c9e55', tenant_slug: 'acme' } });
    expect(await verify(token)).toMatchObject({ claimed: { tenantUuid: 'b1946ac9-2492-4d23-8f5c-6a3f0a1c9e55', tenantSlug: 'acme' } });
  });

  it.each([
    ['half a pair', { metadata: { tenant_uuid: 'b1946ac9-2492-4d23-8f5c-6a3f0a1c9e55' } }],
    ['the other half', { metadata: { tenant_slug: 'acme' } }],
    ['numbers', { metadata: { tenant_uuid: 1, tenant_slug: 2 } }],
    ['objects', { metadata: { tenant_uuid: {}, tenant_slug: [] } }],
    ['an empty slug', { metadata: { tenant_uuid: 'b1946ac9-2492-4d23-8f5c-6a3f0a1c9e55', tenant_slug: '' } }],
    ['NUL', { metadata: { tenant_uuid: 'b1946ac9-2492-4d23-8f5c-6a3f0a1c9e55', tenant_slug: 'a\0b' } }],
    ['a huge slug', { metadata: { tenant_uuid: 'b1946ac9-2492-4d23-8f5c-6a3f0a1c9e55', tenant_slug: 'a'.repeat(1000) } }],
    ['a string', { metadata: 'acme' }],
    ['null', { metadata: { tenant_uuid: null, tenant_slug: null } }],
  ])('is refused when its tenant is %s', async (_what, claims) => {
    await expect(verify(await sign(secret, good, claims))).rejects.toMatchObject(unauthorized);
  });

  it.each([[undefined], [''], [1], [null], [['ann']], [{}], ['a\nb'], ['a\0'], ['\ud800'], ['a'.repeat(256)]])(
    'is refused when its subject is %j',
    async (sub) => {
      await expect(verify(await sign(secret, good, { sub: sub as string }))).rejects.toMatchObject(unauthorized);
    },
  );

  it('may have a subject of 255 characters', async () => {
    const subject = 'a'.repeat(255);
    expect(await verify(await sign(secret, good, { sub: subject }))).toEqual({ subject, role: 'user' });
  });

  it.each([['admin'], [{ admin: true }], [[['admin']]], [[{ name: 'admin' }]], [null], [['Admin']], [['administrator']]])(
    'gives no role for roles %j',
    async (roles) => {
      expect(await verify(await sign(secret, good, { roles }))).toMatchObject({ role: 'user' });
    },
  );

  it.each([
    ['an array', ['admin']],
    ['a part of a word', 'administrator xadmin'],
    ['another separator', 'a,admin'],
  ])('gives no role for a scope that is %s', async (_what, scope) => {
    expect(await verify(await sign(secret, good, { scope }))).toMatchObject({ role: 'user' });
  });

  it.each([
    ['expired', { exp: now() - 60 }],
    ['not valid yet', { nbf: now() + 60 }],
    ['dated with words', { exp: 'tomorrow' }],
  ])('is refused when it is %s', async (_what, claims) => {
    await expect(verify(await sign(secret, good, claims as never))).rejects.toMatchObject(unauthorized);
  });

  it.each(['', 'a', 'a.b', 'a.b.c', '..', 'a.b.c.d', 'a.b.c.d.e', 'null.null.null', `${'a'.repeat(100_000)}.b.c`])(
    'is refused when it is not a token: %.20s',
    async (token) => {
      await expect(verify(token)).rejects.toMatchObject(unauthorized);
    },
  );

  it('is refused when it is longer than 16,384 characters', async () => {
    const longer = (length: number): Promise<string> => sign(secret, good, { more: 'x'.repeat(length) });
    expect(await verify(await longer(11_000))).toMatchObject({ subject: 'ann' });
    await expect(verify(await longer(13_000))).rejects.toMatchObject(unauthorized);
  });

  it('is refused unsigned, whatever none is called', async () => {
    const claims = { sub: 'ann', roles: ['admin'], exp: now() + 60 };
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
      await expect(verify(rawToken({ alg }, claims))).rejects.toMatchObject(unauthorized);
      await expect(verify(rawToken({ alg }, claims, 'AAAA'))).rejects.toMatchObject(unauthorized);
    }
    await expect(verify(rawToken({}, claims))).rejects.toMatchObject(unauthorized);
    await expect(verify(rawToken({ alg: 'HS256' }, claims))).rejects.toMatchObject(unauthorized);
  });

  it('is refused under another key, another algorithm, or changed', async () => {
    await expect(verify(await sign(new TextEncoder().encode('another-secret-that-is-long-enough-too'), good))).rejects.toMatchObject(
      unauthorized,
    );
    for (const alg of ['HS384', 'HS512'])
      await expect(verify(await sign(Buffer.concat([secret, secret]), { alg }))).rejects.toMatchObject(unauthorized);
    const long = Buffer.concat([secret, secret]);
    await expect(tokenVerifier({ secret: long, tenantClaim: 'metadata' })(await sign(long, { alg: 'HS512' }))).rejects.toMatchObject(
      unauthorized,
    );
    const [header, payload, signature] = (await sign(secret, good)).split('.') as [string, string, string];
    const admin = Buffer.from(JSON.stringify({ sub: 'ann', roles: ['admin'] })).toString('base64url');
    await expect(verify(`${header}.${admin}.${signature}`)).rejects.toMatchObject(unauthorized);
    await expect(verify(`${header}.${payload}.${signature.slice(0, -2)}`)).rejects.toMatchObject(unauthorized);
    const { privateKey } = await testKey('RS256', 'mine');
    await expect(verify(await sign(privateKey, { alg: 'RS256' }))).rejects.toMatchObject(unauthorized);
  });

  it('takes no key from its own header', async () => {
    const { privateKey, jwk } = await testKey('RS256', 'mine');
    const hacker = Buffer.from('attacker-secret-attacker-secret-attacker');
    const urls = { jku: 'http://127.0.0.1:1/keys', x5u: 'http://127.0.0.1:1/cert' };
    await expect(verify(await sign(privateKey, { alg: 'RS256', jwk, ...urls }))).rejects.toMatchObject(unauthorized);
    await expect(
      verify(await sign(hacker, { ...good, jwk: { kty: 'oct', k: hacker.toString('base64url') }, ...urls })),
    ).rejects.toMatchObject(unauthorized);
    for (const kid of ['../../../dev/null', '/dev/null', "' OR 1=1 --", 'http://127.0.0.1:1/', '\0', 'x'.repeat(5000)]) {
      await expect(verify(await sign(new Uint8Array(32), { ...good, kid }))).rejects.toMatchObject(unauthorized);
    }
  });

  it('is refused with critical extensions that nobody here knows', async () => {
    const header = Buffer.from(JSON.stringify({ alg: 'HS256', crit: ['exotic'], exotic: true })).toString('base64url');
    const payload = Buffer.from(JSON.stringify({ sub: 'ann' })).toString('base64url');
    const signature = createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url');
    await expect(verify(`${header}.${payload}.${signature}`)).rejects.toMatchObject(unauthorized);
  });

  it('stops being trusted when it expires, verified lately or not', async () => {
    // Fakes the clock of jose and of the verifier only. The cache's own clock runs on, and must not be what ends the trust.
    const clock = vi.useFakeTimers({ toFake: ['Date'] });
    onTestFinished(() => void clock.useRealTimers());
    const verifyAgain = fresh();
    const expiry = now() + 60;
    const token = await sign(secret, good, { exp: expiry });
    expect(await verifyAgain(token)).toMatchObject({ subject: 'ann' });
    // Clocks may differ by five seconds.
    clock.setSystemTime((expiry + 4) * 1000);
    expect(await verifyAgain(token)).toMatchObject({ subject: 'ann' });
    expect(await fresh()(token)).toMatchObject({ subject: 'ann' });
    clock.setSystemTime((expiry + 5) * 1000);
    await expect(verifyAgain(token)).rejects.toMatchObject(unauthorized);
    await expect(fresh()(token)).rejects.toMatchObject(unauthorized);
  });

  it('is checked against issuer and audience where these are set', async () => {
    const strict = tokenVerifier({ secret, tenantClaim: 'metadata', issuer: 'https://issuer.example', audience: 'coffer' });
    const ours = { iss: 'https://issuer.example', aud: 'coffer' };
    expect(await strict(await sign(secret, good, ours))).toMatchObject({ subject: 'ann' });
    expect(await strict(await sign(secret, good, { ...ours, aud: ['other', 'coffer'] }))).toMatchObject({ subject: 'ann' });
    for (const claims of [
      {},
      { ...ours, iss: 'https://issuer.example/' },
      { ...ours, aud: 'other' },
      { iss: ours.iss },
      { aud: ours.aud },
    ]) {
      await expect(strict(await sign(secret, good, claims))).rejects.toMatchObject(unauthorized);
    }
  });

  it('is not taken where only a key set is configured, signed with its public key or not', async () => {
    const { jwk, privateKey } = await testKey('RS256', 'mine');
    const { directory, path } = await keyFile([jwk]);
    const keysOnly = tokenVerifier({ jwksFile: path, tenantClaim: 'metadata' });
    const both = tokenVerifier({ jwksFile: path, secret, tenantClaim: 'metadata' });
    const pem = await exportSPKI((await importJWK(jwk, 'RS256', { extractable: true })) as CryptoKey);
    for (const publicBytes of [
      Buffer.from(pem),
      Buffer.from(pem.trim()),
      Buffer.from(JSON.stringify(jwk)),
      Buffer.from(jwk.n ?? '', 'base64url'),
    ]) {
      const token = await sign(publicBytes, { alg: 'HS256', kid: 'mine' });
      await expect(keysOnly(token)).rejects.toMatchObject(unauthorized);
      await expect(both(token)).rejects.toMatchObject(unauthorized);
    }
    await expect(keysOnly(await sign(secret, good))).rejects.toMatchObject(unauthorized);
    expect(await both(await sign(secret, good))).toMatchObject({ subject: 'ann' });
    for (const verifyEither of [keysOnly, both])
      expect(await verifyEither(await sign(privateKey, { alg: 'RS256', kid: 'mine' }))).toMatchObject({ subject: 'ann' });
    await rm(directory, { recursive: true });
  });
});

describe('the Authorization header', () => {
  it('carries a bearer token', () => {
    expect(bearerToken('Bearer abc.def.ghi')).toBe('abc.def.ghi');
    expect(bearerToken('bearer  abc')).toBe('abc');
  });

  it.each([undefined, '', 'Bearer', 'Bearer ', 'Basic abc', 'Bearer a b', 'Bearer a,b', 'abc', 'Bearer ä'])(
    'is refused as %s',
    (header) => {
      expect(() => bearerToken(header)).toThrow(expect.objectContaining(unauthorized));
    },
  );
});
