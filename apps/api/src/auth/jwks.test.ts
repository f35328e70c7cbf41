import { rename, rm, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import type { JWK } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';

import { keyFile, sign, testKey } from '../testing/forge.ts';
import type { TestKey } from '../testing/forge.ts';
import { tokenVerifier } from './token-verifier.ts';

const unauthorized = { code: 'unauthorized' };
const unavailable = { code: 'storage_unavailable' };
const tokenOf = ({ privateKey, alg, jwk }: TestKey, claims = {}): Promise<string> => sign(privateKey, { alg, kid: jwk.kid }, claims);

describe('a key set', () => {
  let one: TestKey;
  let two: TestKey;
  let ec: TestKey;
  let ed: TestKey;

  beforeAll(async () => {
    [one, two, ec, ed] = await Promise.all([
      testKey('RS256', 'one'),
      testKey('RS256', 'two'),
      testKey('ES256', 'ec'),
      testKey('EdDSA', 'ed'),
    ]);
  });
  afterEach(() => vi.restoreAllMocks());

  describe('in a file', () => {
    it.each(['RS256', 'ES256', 'EdDSA'])('takes %s', async (alg) => {
      const key = [one, ec, ed].find((each) => each.alg === alg)!;
      const { directory, path } = await keyFile([one.jwk, ec.jwk, ed.jwk]);
      expect(await tokenVerifier({ jwksFile: path, tenantClaim: 'metadata' })(await tokenOf(key))).toMatchObject({ subject: 'ann' });
      await rm(directory, { recursive: true });
    });

    it('takes Ed25519 by its own name as well', async () => {
      const { kid, alg: _alg, ...jwk } = ed.jwk;
      const { directory, path } = await keyFile([{ ...jwk, kid: kid! }]);
      const token = await sign(ed.privateKey, { alg: 'Ed25519', kid });
      expect(await tokenVerifier({ jwksFile: path, tenantClaim: 'metadata' })(token)).toMatchObject({ subject: 'ann' });
      await rm(directory, { recursive: true });
    });

    it.each([
      ['expires', {}],
      ['does not', { exp: undefined } as never],
    ])('takes a token that %s for half a minute without another look at its key, and no longer', async (_what, claims) => {
      const { directory, path } = await keyFile([one.jwk]);
      const verify = tokenVerifier({ jwksFile: path, tenantClaim: 'metadata' });
      const token = await tokenOf(one, claims);
      const start = performance.now();
      const clock = vi.spyOn(performance, 'now').mockReturnValue(start);
      await verify(token);
      await writeFile(path, JSON.stringify({ keys: [two.jwk, ec.jwk] }));
      clock.mockReturnValue(start + 29_000);
      expect(await verify(token)).toMatchObject({ subject: 'ann' });
      await delay(20); // the cache reads the clock at most once per millisecond
      clock.mockReturnValue(start + 31_000);
      await expect(verify(token)).rejects.toMatchObject(unauthorized);
      await rm(directory, { recursive: true });
    });

    it('takes tokens that name no key, whichever of several signed them', async () => {
      const plain = ({ jwk: { kid: _kid, ...jwk } }: TestKey): JWK => jwk;
      const { directory, path } = await keyFile([plain(one), plain(two), one.jwk, two.jwk, ec.jwk]);
      const verify = tokenVerifier({ jwksFile: path, tenantClaim: 'metadata' });
      for (const key of [one, two, ec])
        expect(await verify(await sign(key.privateKey, { alg: key.alg }))).toMatchObject({ subject: 'ann' });
      const stranger = await testKey('RS256', 'one');
      await expect(verify(await tokenOf(stranger))).rejects.toMatchObject(unauthorized);
      await expect(verify(await sign(stranger.privateKey, { alg: 'RS256' }))).rejects.toMatchObject(unauthorized);
      const ours = { iss: 'https://issuer.example', aud: 'coffer' };
      const strict = tokenVerifier({ jwksFile: path, tenantClaim: 'metadata', issuer: ours.iss, audience: ours.aud });
      for (const header of [{ alg: 'RS256' }, { alg: 'RS256', kid: 'two' }]) {
        expect(await strict(await sign(two.privateKey, header, ours))).toMatchObject({ subject: 'ann' });
        for (const wrong of [{ iss: 'https://other.example' }, { aud: 'other' }, { exp: 1 }])
          await expect(strict(await sign(two.privateKey, header, { ...ours, ...wrong }))).rejects.toMatchObject(unauthorized);
      }
      await rm(directory, { recursive: true });
    });

    it('accepts no symmetric key from it', async () => {
      const shared = Buffer.from('attacker-secret-attacker-secret-attacker');
      const { directory, path } = await keyFile([{ kty: 'oct', kid: 'oct', k: shared.toString('base64url'), alg: 'HS256' }, one.jwk]);
      await expect(
        tokenVerifier({ jwksFile: path, tenantClaim: 'metadata' })(await sign(shared, { alg: 'HS256', kid: 'oct' })),
      ).rejects.toMatchObject(unauthorized);
      await rm(directory, { recursive: true });
    });

    it.each(['RS384', 'RS512', 'PS256', 'ES384', 'ES512'])('takes no %s, though there is a key for it', async (alg) => {
      const { privateKey, jwk } = await testKey(alg, 'other');
      const { alg: _alg, ...ofAnyAlgorithm } = jwk;
      for (const each of [jwk, ofAnyAlgorithm]) {
        const { directory, path } = await keyFile([each, one.jwk]);
        const token = await sign(privateKey, { alg, kid: 'other' });
        await expect(tokenVerifier({ jwksFile: path, tenantClaim: 'metadata' })(token)).rejects.toMatchObject(unauthorized);
        await rm(directory, { recursive: true });
      }
    });

    it('follows changes of the file, and keeps the last keys while it is unreadable', async () => {
      const { directory, path } = await keyFile([one.jwk]);
      const verify = tokenVerifier({ jwksFile: path, tenantClaim: 'metadata' });
      await verify(await tokenOf(one));
      await expect(verify(await tokenOf(two))).rejects.toMatchObject(unauthorized);

      await writeFile(`${path}.new`, JSON.stringify({ keys: [two.jwk] }));
      await utimes(`${path}.new`, new Date(), new Date(Date.now() + 5000));
      await rename(`${path}.new`, path);
      expect(await verify(await tokenOf(two, { n: 1 }))).toMatchObject({ subject: 'ann' });
      await expect(verify(await tokenOf(one, { n: 1 }))).rejects.toMatchObject(unauthorized);

      await writeFile(path, '{"keys": [');
      expect(await verify(await tokenOf(two, { n: 2 }))).toMatchObject({ subject: 'ann' });
      await rm(path);
      expect(await verify(await tokenOf(two, { n: 3 }))).toMatchObject({ subject: 'ann' });
      await rm(directory, { recursive: true });
    });

    it.each([
      ['that is missing', undefined],
      ['of something else', 'hello'],
      ['of no keys', '{"keys": 1}'],
    ])('is a fault of ours, not of the token, with a file %s', async (_what, text) => {
      const { directory, path } = await keyFile([]);
      if (text === undefined) await rm(path);
      else await writeFile(path, text);
      await expect(tokenVerifier({ jwksFile: path, tenantClaim: 'metadata' })(await tokenOf(one))).rejects.toMatchObject(unavailable);
      await rm(directory, { recursive: true });
    });
  });

  describe('at a URL', () => {
    let server: Server;
    let keys: JWK[];
    let answer: 'keys' | 'error' | 'garbage' | 'no keys' | 'redirect';
    let asked: number;
    let url: string;

    const listen = async (): Promise<void> => {
      server = createServer((_request, response) => {
        asked += 1;
        if (answer === 'error') response.writeHead(503).end();
        else if (answer === 'garbage') response.end('<html>');
        else if (answer === 'no keys') response.end('{}');
        else if (answer === 'redirect') response.writeHead(302, { location: '/elsewhere' }).end();
        else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys }));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
    };
    const close = (): Promise<void> =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });

    beforeAll(listen);
    afterAll(close);
    afterEach(() => {
      asked = 0;
      answer = 'keys';
    });

    const verifier = (): ReturnType<typeof tokenVerifier> => {
      asked = 0;
      answer = 'keys';
      return tokenVerifier({ jwksUrl: url, tenantClaim: 'metadata', keyCaching: { cooldownMs: 50 } });
    };

    it('is asked once for many tokens, and again for a key it did not have', async () => {
      keys = [one.jwk];
      const verify = verifier();
      const tokens = await Promise.all(Array.from({ length: 20 }, (_, n) => tokenOf(one, { n })));
      await Promise.all(tokens.map(verify));
      expect(asked).toBe(1);
      keys = [two.jwk];
      await new Promise((resolve) => setTimeout(resolve, 60));
      expect(await verify(await tokenOf(two))).toMatchObject({ subject: 'ann' });
      expect(asked).toBe(2);
      await expect(verify(await tokenOf(one, { n: 'new' }))).rejects.toMatchObject(unauthorized);
    });

    it('is not asked for every token with a key nobody has', async () => {
      keys = [one.jwk];
      const verify = tokenVerifier({ jwksUrl: url, tenantClaim: 'metadata' });
      asked = 0;
      const forged = await Promise.all(Array.from({ length: 20 }, (_, n) => sign(two.privateKey, { alg: 'RS256', kid: `made-up-${n}` })));
      await Promise.all(forged.map((token) => expect(verify(token)).rejects.toMatchObject(unauthorized)));
      for (const token of forged) await expect(verify(token)).rejects.toMatchObject(unauthorized);
      expect(asked).toBeLessThanOrEqual(4); // at most one fetch per second
    });

    it('is not asked for every token while it gives no keys', async () => {
      const verify = tokenVerifier({ jwksUrl: url, tenantClaim: 'metadata', keyCaching: { cooldownMs: 60_000 } });
      answer = 'error';
      asked = 0;
      for (let n = 0; n < 5; n++) await expect(verify(await tokenOf(one, { n }))).rejects.toMatchObject(unavailable);
      expect(asked).toBe(1);
    });

    it('accepts the first token of a key that appeared just after a fetch', async () => {
      keys = [one.jwk];
      const verify = tokenVerifier({ jwksUrl: url, tenantClaim: 'metadata' });
      expect(await verify(await tokenOf(one))).toMatchObject({ subject: 'ann' });
      await expect(verify(await sign(two.privateKey, { alg: 'RS256', kid: 'made-up' }))).rejects.toMatchObject(unauthorized);
      keys = [one.jwk, two.jwk];
      expect(await verify(await tokenOf(two))).toMatchObject({ subject: 'ann' });
    });

    it('accepts all first tokens of such a key when several arrive at once', async () => {
      keys = [one.jwk];
      const verify = tokenVerifier({ jwksUrl: url, tenantClaim: 'metadata' });
      expect(await verify(await tokenOf(one))).toMatchObject({ subject: 'ann' });
      keys = [one.jwk, two.jwk];
      asked = 0;
      const tokens = await Promise.all(Array.from({ length: 5 }, (_, n) => tokenOf(two, { n })));
      expect(await Promise.all(tokens.map(verify))).toMatchObject(tokens.map(() => ({ subject: 'ann' })));
      expect(asked).toBe(1);
    });

    it.each(['error', 'garbage', 'no keys', 'redirect'] as const)(
      'is a fault of ours, not of the token, when it answers with %s',
      async (fault) => {
        keys = [one.jwk];
        const verify = verifier();
        answer = fault;
        await expect(verify(await tokenOf(one))).rejects.toMatchObject(unavailable);
        answer = 'keys';
        await new Promise((resolve) => setTimeout(resolve, 60));
        expect(await verify(await tokenOf(one))).toMatchObject({ subject: 'ann' });
      },
    );

    it('is asked again, for new keys and after a while, also if the clock was set back since it answered', async () => {
      keys = [one.jwk];
      const verify = verifier();
      expect(await verify(await tokenOf(one))).toMatchObject({ subject: 'ann' });
      const clock = vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 3_600_000 });
      onTestFinished(() => void clock.useRealTimers());
      keys = [two.jwk];
      await delay(60);
      expect(await verify(await tokenOf(two))).toMatchObject({ subject: 'ann' });
      expect(asked).toBe(2);
      const start = performance.now();
      vi.spyOn(performance, 'now').mockReturnValue(start + 600_001);
      expect(await verify(await tokenOf(two, { n: 2 }))).toMatchObject({ subject: 'ann' });
      expect(asked).toBe(3);
    });

    it('is asked again also if the clock was set back since it failed', async () => {
      keys = [one.jwk];
      const verify = verifier();
      answer = 'error';
      await expect(verify(await tokenOf(one))).rejects.toMatchObject(unavailable);
      answer = 'keys';
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 60_000 });
      onTestFinished(() => void vi.useRealTimers());
      await new Promise((resolve) => setTimeout(resolve, 60));
      expect(await verify(await tokenOf(one))).toMatchObject({ subject: 'ann' });
    });

    it('gives a new key at once after a token that names no key', async () => {
      keys = [one.jwk, two.jwk];
      const verify = tokenVerifier({ jwksUrl: url, tenantClaim: 'metadata' });
      expect(await verify(await sign(two.privateKey, { alg: 'RS256' }))).toMatchObject({ subject: 'ann' });
      keys = [ec.jwk];
      expect(await verify(await tokenOf(ec))).toMatchObject({ subject: 'ann' });
    });

    it('is a fault of ours when nobody answers, and the keys known already still hold', async () => {
      keys = [one.jwk, two.jwk];
      const known = tokenVerifier({ jwksUrl: url, tenantClaim: 'metadata', keyCaching: { cooldownMs: 50, maxAgeMs: 1 } });
      await known(await tokenOf(one));
      const unknown = tokenVerifier({ jwksUrl: url, tenantClaim: 'metadata', keyCaching: { cooldownMs: 50 } });
      await close();
      await expect(unknown(await tokenOf(one))).rejects.toMatchObject(unavailable);
      expect(await known(await tokenOf(one, { n: 'again' }))).toMatchObject({ subject: 'ann' });
      expect(await known(await sign(two.privateKey, { alg: 'RS256' }))).toMatchObject({ subject: 'ann' });
      await expect(known(await tokenOf(ec))).rejects.toMatchObject(unavailable);
      await listen(); // on another port: somebody else may have the old one by now
    });

    it('is used together with a file', async () => {
      keys = [one.jwk];
      const { directory, path } = await keyFile([two.jwk]);
      const verify = tokenVerifier({ jwksUrl: url, jwksFile: path, tenantClaim: 'metadata' });
      for (const key of [one, two]) expect(await verify(await tokenOf(key))).toMatchObject({ subject: 'ann' });
      answer = 'error';
      const broken = tokenVerifier({ jwksUrl: url, jwksFile: path, tenantClaim: 'metadata' });
      expect(await broken(await tokenOf(two))).toMatchObject({ subject: 'ann' });
      await expect(broken(await tokenOf(one))).rejects.toMatchObject(unavailable);
      // The signature was valid: a key of the other set could not help.
      for (const claims of [{ exp: 1 }, { nbf: 9_999_999_999 }])
        await expect(broken(await tokenOf(two, claims))).rejects.toMatchObject(unauthorized);
      await rm(directory, { recursive: true });
    });
  });
});
