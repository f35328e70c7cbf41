import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { JWK, JWTPayload } from 'jose';

/** A key pair and its public half as it stands in a key set. */
export interface TestKey {
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
  readonly alg: string;
}

export async function testKey(alg: string, kid: string): Promise<TestKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { privateKey, alg, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

/** Signs claims; good ones unless told otherwise. */
export function sign(
  key: CryptoKey | Uint8Array,
  header: { readonly alg: string } & Record<string, unknown>,
  claims: JWTPayload = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ sub: 'ann', exp: now + 3600, ...claims }).setProtectedHeader(header).sign(key);
}

/** A token whose parts are exactly these, whatever they are worth. */
export function rawToken(header: unknown, payload: unknown, signature: string | Uint8Array = ''): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part(header)}.${part(payload)}.${typeof signature === 'string' ? signature : Buffer.from(signature).toString('base64url')}`;
}

/** A key set as AUTH_JWKS_FILE names it. */
export async function keyFile(keys: readonly JWK[]): Promise<{ readonly directory: string; readonly path: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-jwks-'));
  const path = join(directory, 'jwks.json');
  await writeFile(path, JSON.stringify({ keys }));
  return { directory, path };
}
