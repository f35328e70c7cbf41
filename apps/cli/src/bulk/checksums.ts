import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';

import type { ObjectInfo } from '@coffer/storage-core';

import { LocalFile, streamAbove } from './local-file.ts';
import { releaseBuffer } from './read-buffers.ts';

const mib = 2 ** 20;
/** Part sizes, in bytes, that clients commonly use, and our own. */
const partSizes = [5, 8, 15, 16, 25, 32, 50, 64, 100, 128, 256, 512].map((size) => size * mib);
const maxParts = 10_000;

/** The MD5 in an ETag; undefined where it holds none. */
export function md5In(etag: string): string | undefined {
  return /^[0-9a-f]{32}$/.test(etag) ? etag : undefined;
}

/**
 * Whether a file of the same size has the bytes of an object, as far as the object's ETag or checksum can tell: an ETag that says
 * nothing about bytes counts as different.
 */
export async function hasBytesOf(
  path: string,
  { etag, size, sha256 }: Pick<ObjectInfo, 'etag' | 'size' | 'sha256'>,
  signal?: AbortSignal,
): Promise<boolean> {
  if (md5In(etag) !== undefined) return (await hashOf(path, size, 'md5', signal)) === etag;
  const [, parts] = /^[0-9a-f]{32}-(\d+)$/.exec(etag) ?? [];
  if (parts !== undefined) return hasPartsOf(path, { etag, size, parts: Number(parts) }, signal);
  return sha256 !== undefined && (await hashOf(path, size, 'sha256', signal)) === sha256;
}

async function hashOf(path: string, size: number, algorithm: string, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash(algorithm);
  for await (const chunk of chunksOf(path, size, signal)) hash.update(chunk);
  return hash.digest('hex');
}

/** The caller must be done with a chunk before it asks for the next one. */
async function* chunksOf(path: string, size: number, signal: AbortSignal | undefined): AsyncGenerator<Buffer, void, undefined> {
  if (size > streamAbove) return yield* createReadStream(path, { highWaterMark: mib, signal });
  const file = await LocalFile.open(path);
  try {
    const bytes = await file.readAll();
    yield bytes;
    releaseBuffer(bytes);
  } finally {
    await file.close();
  }
}

/** The ETag of a multipart object is the MD5 of the MD5s of its parts. It tells the number of parts, but not their size. */
async function hasPartsOf(
  path: string,
  object: { readonly etag: string; readonly size: number; readonly parts: number },
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { etag, size, parts } = object;
  const minPartSize = Math.ceil(size / maxParts / mib) * mib;
  const candidates = [...new Set([...partSizes, minPartSize])].filter((partSize) => Math.ceil(size / partSize) === parts);
  const sums = candidates.map((partSize) => new PartSums(partSize));
  if (sums.length === 0) return false;
  for await (const chunk of chunksOf(path, size, signal)) for (const sum of sums) sum.update(chunk);
  return sums.some((sum) => sum.etag() === etag);
}

class PartSums {
  readonly #partSize: number;
  readonly #partDigests: Hash = createHash('md5');
  #part: Hash = createHash('md5');
  #remaining: number;
  #count = 0;

  constructor(partSize: number) {
    this.#partSize = partSize;
    this.#remaining = partSize;
  }

  update(chunk: Buffer): void {
    for (let rest = chunk; rest.length > 0;) {
      const now = rest.subarray(0, this.#remaining);
      this.#part.update(now);
      this.#remaining -= now.length;
      rest = rest.subarray(now.length);
      if (this.#remaining === 0) this.#endPart();
    }
  }

  etag(): string {
    if (this.#remaining < this.#partSize) this.#endPart();
    return `${this.#partDigests.digest('hex')}-${this.#count}`;
  }

  #endPart(): void {
    this.#partDigests.update(this.#part.digest());
    this.#part = createHash('md5');
    this.#remaining = this.#partSize;
    this.#count += 1;
  }
}
