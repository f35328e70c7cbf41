import type { IncomingHttpHeaders } from 'node:http';

import { validationFailed } from '@coffer/storage-core/http';

export interface DeclaredChecksums {
  /** Lower-case hex. */
  readonly sha256?: string;
  readonly md5?: string;
}

const lengths = { sha256: 32, md5: 16 } as const;

/**
 * Checksums that a client declares for what it sends: S3's x-amz-checksum-sha256, Content-MD5 (RFC 1864), Digest
 * (RFC 3230) and Content-Digest (RFC 9530), all in base64.
 * @throws validation_failed for a value that is none
 */
export function declaredChecksums(headers: IncomingHttpHeaders): DeclaredChecksums {
  assertKnown(headers);
  const sha256 = single(headers, 'x-amz-checksum-sha256') ?? member(headers, 'sha-256');
  const md5 = single(headers, 'content-md5') ?? member(headers, 'md5');
  return {
    ...(sha256 !== undefined && { sha256: hex(sha256, 'sha256') }),
    ...(md5 !== undefined && { md5: hex(md5, 'md5') }),
  };
}

/** What cannot be verified is not to be taken for verified. */
function assertKnown(headers: IncomingHttpHeaders): void {
  for (const header of ['digest', 'content-digest']) {
    const value = headers[header];
    if (typeof value !== 'string' || value.trim() === '') continue;
    const names = value.split(',').map((part) => part.trim().split('=')[0]!.toLowerCase());
    if (names.some((name) => name === 'sha-256' || name === 'md5')) continue;
    throw validationFailed([{ field: header, message: 'is verified for sha-256 and md5: send one of them, as in "SHA-256=<base64>"' }]);
  }
}

function single(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value.trim() : undefined;
}

function member(headers: IncomingHttpHeaders, algorithm: string): string | undefined {
  const list = [headers.digest, headers['content-digest']].filter((value) => typeof value === 'string').join(',');
  for (const part of list.split(',')) {
    const [name, ...value] = part.trim().split('=');
    if (name?.toLowerCase() === algorithm) return value.join('=').replaceAll(/^:|:$/g, '');
  }
  return undefined;
}

function hex(base64: string, algorithm: keyof typeof lengths): string {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.byteLength !== lengths[algorithm] || unpadded(bytes.toString('base64')) !== unpadded(base64)) {
    throw validationFailed([{ field: algorithm, message: `the checksum header is not the base64 of ${lengths[algorithm]} bytes` }]);
  }
  return bytes.toString('hex');
}

/** Without a bound, a value of nothing but padding, and something else at its end, would take the square of its length. */
function unpadded(base64: string): string {
  return base64.replace(/={1,2}$/, '');
}
