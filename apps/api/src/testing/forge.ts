import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { JWK, JWTPayload } from 'jose';

/** A key pair, with its public half as in a key set. */
export interface TestKey {
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
  readonly alg: string;
}

export async function testKey(alg: string, kid: string): Promise<TestKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { privateKey, alg, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

/** Signs claims, which are valid unless overridden. */
export function sign(
  key: CryptoKey | Uint8Array,
  header: { readonly alg: string } & Record<string, unknown>,
  claims: JWTPayload = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ sub: 'ann', exp: now + 3600, ...claims }).setProtectedHeader(header).sign(key);
}

/** A token of exactly these parts, valid or not. */
export function rawToken(header: unknown, payload: unknown, signature: string | Uint8Array = ''): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part(header)}.${part(payload)}.${typeof signature === 'string' ? signature : Buffer.from(signature).toString('base64url')}`;
}

/** A key set file for AUTH_JWKS_FILE. */
export async function keyFile(keys: readonly JWK[]): Promise<{ readonly directory: string; readonly path: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-jwks-'));
  const path = join(directory, 'jwks.json');
  await writeFile(path, JSON.stringify({ keys }));
  return { directory, path };
}
