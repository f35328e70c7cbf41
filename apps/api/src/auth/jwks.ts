import { readFile, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

import { storageError } from '@coffer/storage-core';
import { createLocalJWKSet, createRemoteJWKSet, errors } from 'jose';
import type { JSONWebKeySet, JWTVerifyGetKey } from 'jose';
import { LRUCache } from 'lru-cache';

export interface KeyCaching {
  /** Milliseconds between two fetches for unknown keys; a token with a new key waits for the next fetch. Default 1,000. */
  readonly cooldownMs?: number;
  /** Milliseconds after which known keys are fetched again. Default 600,000. */
  readonly maxAgeMs?: number;
}

const unavailable = (what: string, cause: unknown): Error =>
  storageError('storage_unavailable', `The key set ${what}, which tokens are checked against, cannot be obtained at the moment.`, {
    cause,
  });

/**
 * Keys fetched from a URL, cached, and fetched again when a token names a key that is not among them. While the URL does
 * not answer, the keys from its last answer stay valid.
 * @throws storage_unavailable from the returned function, if it cannot find out whether the key exists
 */
export function jwksFromUrl(url: string, { cooldownMs = 1_000, maxAgeMs = 600_000 }: KeyCaching = {}): JWTVerifyGetKey {
  // What jose would time by the system's clock, which may be set back, is timed here.
  const forever = { cooldownDuration: Infinity, cacheMaxAge: Infinity };
  const remote = createRemoteJWKSet(new URL(url), { ...forever, timeoutDuration: 5_000 });
  let fetchedAt = -Infinity;
  const isOlderThan = (ms: number): boolean => performance.now() - fetchedAt >= ms;
  const fetchKeys = async (): Promise<void> => {
    await remote.reload();
    fetchedAt = performance.now();
  };
  const lookUp: JWTVerifyGetKey = async (header, token) => {
    if (isOlderThan(maxAgeMs)) await fetchKeys();
    try {
      return await remote(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || !isOlderThan(cooldownMs)) throw error;
      await fetchKeys();
      return remote(header, token);
    }
  };
  // The key may be newer than the last fetch: a rotation must not refuse its first tokens, which may arrive together. An unknown key is
  // waited for only once.
  const cooldowns = new LRUCache<string, Promise<void>>({ max: 1000, ttl: 60_000 });
  const findKey: JWTVerifyGetKey = async (header, token) => {
    try {
      return await lookUp(header, token);
    } catch (error) {
      const kid = header?.kid ?? '';
      if (!(error instanceof errors.JWKSNoMatchingKey) || isOlderThan(cooldownMs)) throw error;
      let cooldown = cooldowns.get(kid);
      if (cooldown === undefined) cooldowns.set(kid, (cooldown = delay(cooldownMs)));
      await cooldown; // if it resolved long ago, nothing changes: no keys are fetched during a cooldown
      return lookUp(header, token);
    }
  };
  let failure: { readonly at: number; readonly cause: unknown } | undefined;
  return async (header, token) => {
    // During the cooldown no request waits for a server that has just failed to answer.
    if (failure === undefined || performance.now() - failure.at >= cooldownMs) {
      try {
        return await findKey(header, token);
      } catch (cause) {
        if (isAboutToken(cause)) throw cause;
        failure = { at: performance.now(), cause };
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
 * @throws storage_unavailable from the returned function, if the file was never readable
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
      // A file that is just being replaced must not lock everyone out: the keys read last stay valid.
      if (loaded === undefined) throw unavailable('of AUTH_JWKS_FILE', cause);
    }
    return loaded.keys(header, token);
  };
}

function isAboutToken(error: unknown): boolean {
  return error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys;
}
