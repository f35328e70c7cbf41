import { createHash, hash } from 'node:crypto';
import type { Hash } from 'node:crypto';

import { storageError } from '@coffer/storage-core';

import type { KnownSums } from '../transport.ts';

/**
 * Computes the checksums that a caller declared, over the bytes as they pass. Some servers accept bytes that do not match the checksum of
 * the request, so this is not left to them.
 */
export class DeclaredSums {
  readonly #declared: KnownSums;
  readonly #sha256: Hash | undefined;
  readonly #md5: Hash | undefined;

  constructor(declared: KnownSums) {
    this.#declared = declared;
    this.#sha256 = declared.sha256 === undefined ? undefined : createHash('sha256');
    this.#md5 = declared.md5 === undefined ? undefined : createHash('md5');
  }

  update(data: Uint8Array): void {
    this.#sha256?.update(data);
    this.#md5?.update(data);
  }

  /** @throws checksum_mismatch */
  verify(): void {
    const { sha256, md5 } = this.#declared;
    if (this.#sha256?.digest('hex') !== sha256 || this.#md5?.digest('hex') !== md5) throw mismatch();
  }
}

/**
 * The SHA-256 of one part, for the server to verify. Nobody has declared it, but a caller who declares a checksum of the whole wants no
 * byte to change on the way.
 */
export function partSum(data: Uint8Array, { sha256, md5 }: KnownSums): Pick<KnownSums, 'sha256'> {
  return sha256 === undefined && md5 === undefined ? {} : { sha256: hash('sha256', data) };
}

/** Verifies bytes that are all in memory. @throws checksum_mismatch */
export function verifySums(data: Uint8Array, { sha256, md5 }: KnownSums): void {
  if (sha256 !== undefined && sha256 !== hash('sha256', data)) throw mismatch();
  if (md5 !== undefined && md5 !== hash('md5', data)) throw mismatch();
}

/** Base64. */
export function crc32Of(data: Uint8Array): string {
  const sum = Buffer.allocUnsafe(4);
  // Importing the module takes 4 ms at every start, and few servers want a checksum.
  sum.writeUInt32BE(process.getBuiltinModule('node:zlib').crc32(data));
  return sum.toString('base64');
}

function mismatch(): Error {
  return storageError('checksum_mismatch', 'The checksum of the body does not match the declared one.');
}
