import type { AuthConfig } from '@coffer/runtime';
import { hasCode, isStorageError, storageError } from '@coffer/storage-core';
import { roleOf, tenantFromClaims } from '@coffer/tenancy';
import { decodeProtectedHeader, errors, jwtVerify } from 'jose';
import type { JWTPayload, JWTVerifyGetKey, JWTVerifyOptions } from 'jose';
import { LRUCache } from 'lru-cache';

import { Subject } from '../request-schemas.ts';
import type { Identity } from './identity.ts';
import { jwksFromFile, jwksFromUrl } from './jwks.ts';
import type { KeyCaching } from './jwks.ts';

export interface TokenVerifierOptions extends Omit<AuthConfig, 'secret'> {
  /** HS256 secret. */
  readonly secret?: string | Uint8Array;
  /** For the keys at `jwksUrl`. */
  readonly keyCaching?: KeyCaching;
}

/** @throws unauthorized; storage_unavailable when the key set cannot be obtained */
export type TokenVerifier = (token: string) => Promise<Identity>;

const asymmetric = ['RS256', 'ES256', 'EdDSA', 'Ed25519'];
// How long a verified token is trusted without verifying it again; never past its own expiry.
const cacheMs = 30_000;
const clockToleranceSeconds = 5;
const maxTokenLength = 16_384;

interface CachedIdentity {
  readonly identity: Identity;
  readonly expiresAt: number;
}

/**
 * Verifies bearer tokens. The configuration decides which algorithms are accepted: a secret accepts HS256, a key set accepts
 * signatures by its own keys. The token's header only chooses among what is configured.
 */
export function tokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const verify = payloadVerifier(options);
  const cache = new LRUCache<string, CachedIdentity>({ max: 5_000, ttl: cacheMs });
  return async (token) => {
    const cached = cache.get(token);
    if (cached !== undefined && cached.expiresAt > Date.now()) return cached.identity;
    if (token.length > maxTokenLength) throw unauthorized();
    let payload: JWTPayload;
    try {
      payload = await verify(token);
    } catch (cause) {
      throw isStorageError(cause) ? cause : unauthorized(cause);
    }
    const identity = identityOf(payload, options.tenantClaim);
    const expiresAt = payload.exp === undefined ? Number.POSITIVE_INFINITY : (payload.exp + clockToleranceSeconds) * 1000;
    cache.set(token, { identity, expiresAt });
    return identity;
  };
}

function payloadVerifier(options: TokenVerifierOptions): (token: string) => Promise<JWTPayload> {
  const { issuer, audience, jwksUrl, jwksFile } = options;
  const secret = typeof options.secret === 'string' ? new TextEncoder().encode(options.secret) : options.secret;
  const keySets = [
    ...(jwksUrl === undefined ? [] : [jwksFromUrl(jwksUrl, options.keyCaching)]),
    ...(jwksFile === undefined ? [] : [jwksFromFile(jwksFile)]),
  ];
  const checks = {
    clockTolerance: clockToleranceSeconds,
    ...(issuer !== undefined && { issuer }),
    ...(audience !== undefined && { audience }),
  };
  return async (token) => {
    const { alg } = decodeProtectedHeader(token);
    if (alg === 'HS256' && secret !== undefined) return (await jwtVerify(token, secret, { ...checks, algorithms: ['HS256'] })).payload;
    let failure = new Error('No configured key takes this algorithm.');
    for (const keys of keySets) {
      try {
        return await verifyWith(token, keys, { ...checks, algorithms: asymmetric });
      } catch (error) {
        if (error instanceof errors.JWTExpired || error instanceof errors.JWTClaimValidationFailed) throw error; // the signature was valid
        if (!hasCode(failure, 'storage_unavailable')) failure = error as Error;
      }
    }
    throw failure;
  };
}

/** A token that names no key may be signed by any key of its type. */
async function verifyWith(token: string, keys: JWTVerifyGetKey, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, keys, options)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      try {
        return (await jwtVerify(token, key, options)).payload;
      } catch (failure) {
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure;
      }
    }
    throw error;
  }
}

function identityOf(payload: JWTPayload, tenantClaim: string): Identity {
  const subject = Subject.safeParse(payload.sub);
  if (!subject.success) throw unauthorized();
  return { subject: subject.data, role: roleOf(payload), claimed: tenantFromClaims(payload, tenantClaim) };
}

function unauthorized(cause?: unknown): Error {
  return storageError('unauthorized', 'The bearer token is missing, expired or not valid here.', { cause });
}

/** The token of an Authorization header. @throws unauthorized */
export function bearerToken(header: string | undefined): string {
  const match = header === undefined ? null : /^Bearer +([A-Za-z0-9._~+/=-]+)$/i.exec(header);
  if (match?.[1] === undefined) throw storageError('unauthorized', 'Send a token: "Authorization: Bearer <token>".');
  return match[1];
}
