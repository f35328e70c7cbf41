import { readFile, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

import { storageError } from '@coffer/storage-core';
import { createLocalJWKSet, createRemoteJWKSet, errors } from 'jose';
import type { JSONWebKeySet, JWTVerifyGetKey } from 'jose';
import { LRUCache } from 'lru-cache';

export interface KeyCaching {
  /** Milliseconds between two questions for keys that are not known; a token with a new one waits for it. Default 1,000. */
  readonly cooldownMs?: number;
  /** Milliseconds after which known keys are asked for again. Default 600,000. */
  readonly maxAgeMs?: number;
}

const unavailable = (what: string, cause: unknown): Error =>
  storageError('storage_unavailable', `The key set ${what}, which tokens are checked against, cannot be obtained at the moment.`, {
    cause,
  });

/**
 * Keys fetched from a URL, cached, and fetched again when a token names a key that is not among them. While the URL does
 * not answer, the keys it gave last still hold.
 * @throws storage_unavailable from the returned function, where it cannot be known whether there is such a key
 */
export function jwksFromUrl(url: string, { cooldownMs = 1_000, maxAgeMs = 600_000 }: KeyCaching = {}): JWTVerifyGetKey {
  const remote = createRemoteJWKSet(new URL(url), { cooldownDuration: cooldownMs, cacheMaxAge: maxAgeMs, timeoutDuration: 5_000 });
  // A key that appeared since the keys were last asked for: a rotation must not refuse its first tokens, which may come together,
  // and an unknown one is waited for only once.
  const awaited = new LRUCache<string, Promise<void>>({ max: 1000, ttl: 60_000 });
  const find: JWTVerifyGetKey = async (header, token) => {
    try {
      return await remote(header, token);
    } catch (error) {
      const kid = header?.kid ?? '';
      if (!(error instanceof errors.JWKSNoMatchingKey) || !remote.coolingDown) throw error;
      let cooled = awaited.get(kid);
      if (cooled === undefined) awaited.set(kid, (cooled = delay(cooldownMs)));
      await cooled; // long over, it changes nothing: the keys are not asked for again before they may be
      return remote(header, token);
    }
  };
  let failure: { readonly at: number; readonly cause: unknown } | undefined;
  return async (header, token) => {
    // Not every request waits for a server that does not answer.
    if (failure === undefined || Date.now() - failure.at >= cooldownMs) {
      try {
        const key = await find(header, token);
        failure = undefined;
        return key;
      } catch (cause) {
        if (isAboutToken(cause)) throw cause;
        failure = { at: Date.now(), cause };
      }
    }
    const last = remote.jwks();
    try {
      if (last !== undefined) return await createLocalJWKSet(last)(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
    }
    throw unavailable('of AUTH_JWKS_URL', failure.cause);
  };
}

/**
 * Keys from a file, read again when it has changed.
 * @throws storage_unavailable from the returned function, where the file was never readable
 */
export function jwksFromFile(path: string): JWTVerifyGetKey {
  let loaded: { readonly version: string; readonly keys: JWTVerifyGetKey } | undefined;
  return async (header, token) => {
    try {
      const { mtimeMs, size, ino } = await stat(path);
      const version = `${mtimeMs}/${size}/${ino}`;
      if (loaded?.version !== version)
        loaded = { version, keys: createLocalJWKSet(JSON.parse(await readFile(path, 'utf8')) as JSONWebKeySet) };
    } catch (cause) {
      // A file that is just being replaced does not lock everybody out: the keys read last still hold.
      if (loaded === undefined) throw unavailable('of AUTH_JWKS_FILE', cause);
    }
    return loaded.keys(header, token);
  };
}

function isAboutToken(error: unknown): boolean {
  return (
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSENotSupported
  );
}
