import { createHash, hash } from 'node:crypto';

import type { ObjectInfo, ObjectStream } from '@coffer/storage-core';

import { LocalError } from '../problem.ts';
import type { Session } from '../services/open-session.ts';
import { md5In } from './checksums.ts';

export interface CheckSettings {
  readonly session: Session;
  readonly etagTrust: EtagTrust;
}

/** Whether ETags that look like MD5s are MD5s. With encryption keys managed by the provider they are not, and nothing says so. */
export class EtagTrust {
  readonly #note: (text: string) => void;
  #areMd5 = true;

  /** @param note called once, when they turn out not to be MD5s */
  constructor(note: (text: string) => void) {
    this.#note = note;
  }

  get areMd5(): boolean {
    return this.#areMd5;
  }

  /** @param key of an object whose bytes arrived identically twice, but do not match its ETag */
  distrust(key: string): void {
    if (!this.#areMd5) return;
    this.#areMd5 = false;
    this.#note(
      `note: the ETag of ${key} is not the MD5 of its bytes, which arrived identically twice: from now on, only the sizes of downloads are checked.`,
    );
  }
}

/**
 * Downloads an object again when its bytes do not match its ETag. If the same bytes arrive again, the ETag says nothing about the
 * bytes.
 * @throws LocalError `checksum_mismatch`, retryable, when the second download differs from the first
 */
export async function assertMatchesEtag(
  info: ObjectInfo,
  mismatch: string | undefined,
  { session, etagTrust }: CheckSettings,
): Promise<void> {
  if (mismatch === undefined) return;
  const secondRead = await session.storage.openFile({ bucket: info.bucket, key: info.key }, {}, session.ctx);
  const isSame = secondRead.info.etag === info.etag && (await md5Of(secondRead)) === mismatch;
  if (!isSame) throw new LocalError('checksum_mismatch', 'The bytes that arrived do not match the ETag.', { retryable: true });
  etagTrust.distrust(info.key);
}

export interface Check {
  update(bytes: Uint8Array): void;
  /** The checksum, if it does not match; otherwise undefined. */
  mismatch(): string | undefined;
}

export function checkFor(info: ObjectInfo, etagTrust: EtagTrust): Check | undefined {
  const expected = expectedSum(info, etagTrust);
  if (expected === undefined) return undefined;
  const hasher = createHash(expected.algorithm);
  return {
    update: (bytes) => void hasher.update(bytes),
    mismatch() {
      const sum = hasher.digest('hex');
      return sum === expected.sum ? undefined : sum;
    },
  };
}

/** The checksum of the bytes, if it does not match; otherwise undefined. */
export function mismatchOf(bytes: Uint8Array, info: ObjectInfo, etagTrust: EtagTrust): string | undefined {
  const expected = expectedSum(info, etagTrust);
  const sum = expected && hash(expected.algorithm, bytes);
  return sum === expected?.sum ? undefined : sum;
}

function expectedSum(
  { etag, sha256 }: ObjectInfo,
  etagTrust: EtagTrust,
): { readonly algorithm: 'md5' | 'sha256'; readonly sum: string } | undefined {
  const md5 = etagTrust.areMd5 ? md5In(etag) : undefined;
  if (md5 !== undefined) return { algorithm: 'md5', sum: md5 };
  return sha256 === undefined ? undefined : { algorithm: 'sha256', sum: sha256 };
}

async function md5Of({ body }: ObjectStream): Promise<string> {
  const hasher = createHash('md5');
  for await (const chunk of body as AsyncIterable<Buffer>) hasher.update(chunk);
  return hasher.digest('hex');
}

/** @throws LocalError `incomplete`, retryable */
export function assertSize(size: number, expected: number): void {
  if (size !== expected) throw new LocalError('incomplete', `The download ended after ${size} of ${expected} bytes.`, { retryable: true });
}
