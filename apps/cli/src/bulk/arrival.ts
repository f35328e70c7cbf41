import { createHash, hash } from 'node:crypto';

import type { ObjectInfo, ObjectStream } from '@coffer/storage-core';

import { LocalError } from '../problem.ts';
import type { Session } from '../services/open-session.ts';
import { md5In } from './checksums.ts';

export interface CheckSettings {
  readonly session: Session;
  readonly sums: EtagSums;
}

/** Whether ETags that look like MD5s are some: with encryption keys of the provider's they are not, and nothing says so. */
export class EtagSums {
  readonly #note: (text: string) => void;
  #areMd5 = true;

  /** @param note told once, when they turn out to be none */
  constructor(note: (text: string) => void) {
    this.#note = note;
  }

  get areMd5(): boolean {
    return this.#areMd5;
  }

  /** @param key of an object that has others, twice the same ones */
  distrust(key: string): void {
    if (!this.#areMd5) return;
    this.#areMd5 = false;
    this.#note(
      `note: the ETag of ${key} is not the MD5 of its bytes, which arrived identically twice: from now on, only the sizes of downloads are checked.`,
    );
  }
}

/**
 * Looks again at bytes that are others than the ETag says. The same ones once more, and it says nothing about bytes.
 * @throws LocalError `checksum_mismatch`
 */
export async function assertRight(info: ObjectInfo, wrong: string | undefined, { session, sums }: CheckSettings): Promise<void> {
  if (wrong === undefined) return;
  const again = await session.storage.openFile({ bucket: info.bucket, key: info.key }, {}, session.ctx);
  const isSame = again.info.etag === info.etag && (await sumOf(again)) === wrong;
  if (!isSame) throw new LocalError('checksum_mismatch', 'The bytes that arrived do not match the ETag.', { retryable: true });
  sums.distrust(info.key);
}

export interface Check {
  update(bytes: Uint8Array): void;
  /** The sum, when it is the wrong one. */
  wrong(): string | undefined;
}

export function checkFor(info: ObjectInfo, sums: EtagSums): Check | undefined {
  const known = knownSum(info, sums);
  if (known === undefined) return undefined;
  const made = createHash(known.algorithm);
  return {
    update: (bytes) => void made.update(bytes),
    wrong() {
      const sum = made.digest('hex');
      return sum === known.sum ? undefined : sum;
    },
  };
}

/** The sum of all the bytes, when it is the wrong one. */
export function wrongSumOf(bytes: Uint8Array, info: ObjectInfo, sums: EtagSums): string | undefined {
  const known = knownSum(info, sums);
  const sum = known && hash(known.algorithm, bytes);
  return sum === known?.sum ? undefined : sum;
}

function knownSum(
  { etag, sha256 }: ObjectInfo,
  sums: EtagSums,
): { readonly algorithm: 'md5' | 'sha256'; readonly sum: string } | undefined {
  const md5 = sums.areMd5 ? md5In(etag) : undefined;
  if (md5 !== undefined) return { algorithm: 'md5', sum: md5 };
  return sha256 === undefined ? undefined : { algorithm: 'sha256', sum: sha256 };
}

async function sumOf({ body }: ObjectStream): Promise<string> {
  const hash = createHash('md5');
  for await (const chunk of body as AsyncIterable<Buffer>) hash.update(chunk);
  return hash.digest('hex');
}

/** @throws LocalError `incomplete` */
export function assertSize(size: number, expected: number): void {
  if (size !== expected) throw new LocalError('incomplete', `The download ended after ${size} of ${expected} bytes.`, { retryable: true });
}
