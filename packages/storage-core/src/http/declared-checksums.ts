import type { IncomingHttpHeaders } from 'node:http';

import { validationFailed } from './problem.ts';

/** The checksums that a request declares for its body, in lower-case hex. */
export interface DeclaredChecksums {
  readonly sha256?: string;
  readonly md5?: string;
}

const lengths = { sha256: 32, md5: 16 } as const;

const digests = ['digest', 'content-digest', 'repr-digest'] as const;
/** S3 verifies these; Coffer does not. */
const unverified = ['crc32', 'crc32c', 'crc64nvme', 'sha1'].map((name) => `x-amz-checksum-${name}`);
const checksumFields: ReadonlySet<string> = new Set(['x-amz-checksum-sha256', 'content-md5', ...digests, ...unverified]);

/**
 * Checksums that a client declares for what it sends: S3's x-amz-checksum-sha256, Content-MD5 (RFC 1864), Digest
 * (RFC 3230), Content-Digest and Repr-Digest (RFC 9530), all in base64.
 * @throws validation_failed for an invalid value, for values that contradict each other, and if only checksums are declared that Coffer
 * does not verify
 */
export function declaredChecksums(headers: IncomingHttpHeaders): DeclaredChecksums {
  const sha256 = declared('sha256', [single(headers, 'x-amz-checksum-sha256'), ...members(headers, 'sha-256')]);
  const md5 = declared('md5', [single(headers, 'content-md5'), ...members(headers, 'md5')]);
  if (sha256 === undefined && md5 === undefined) assertNoOther(headers);
  return { ...(sha256 !== undefined && { sha256 }), ...(md5 !== undefined && { md5 }) };
}

function declared(algorithm: keyof typeof lengths, values: readonly (string | undefined)[]): string | undefined {
  const [first, ...others] = values.filter((value) => value !== undefined).map((value) => hex(value, algorithm));
  if (others.some((other) => other !== first))
    throw validationFailed([{ field: algorithm, message: 'the checksum headers contradict each other' }]);
  return first;
}

/** Refuses a checksum that cannot be verified, so that no client takes it for verified. */
function assertNoOther(headers: IncomingHttpHeaders): void {
  const announced = ['trailer', 'x-amz-trailer'].find((name) => fieldNames(headers[name]).some((field) => checksumFields.has(field)));
  if (announced !== undefined) {
    const message = 'announces a checksum after the body, which is not verified: send it before the body';
    throw validationFailed([{ field: announced, message }]);
  }
  const other = [...digests, ...unverified].find((name) => typeof headers[name] === 'string' && headers[name].trim() !== '');
  if (other === undefined) return;
  const isDigest = !other.startsWith('x-amz-');
  const message = isDigest
    ? 'is verified for sha-256 and md5: send one of them, as in "SHA-256=<base64>"'
    : 'is not verified: send x-amz-checksum-sha256 or Content-MD5 instead';
  throw validationFailed([{ field: other, message }]);
}

function fieldNames(value: string | string[] | undefined): readonly string[] {
  return String(value ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase());
}

function single(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value.trim() : undefined;
}

function members(headers: IncomingHttpHeaders, algorithm: string): readonly string[] {
  return digests.flatMap((header) => {
    const value = headers[header];
    if (typeof value !== 'string') return [];
    const parts = value.split(',').map((part) => part.trim().split('='));
    return parts.filter(([name]) => name?.toLowerCase() === algorithm).map(([, ...rest]) => rest.join('=').replaceAll(/^:|:$/g, ''));
  });
}

function hex(base64: string, algorithm: keyof typeof lengths): string {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.byteLength !== lengths[algorithm] || unpadded(bytes.toString('base64')) !== unpadded(base64)) {
    throw validationFailed([{ field: algorithm, message: `the checksum header is not the base64 of ${lengths[algorithm]} bytes` }]);
  }
  return bytes.toString('hex');
}

/** The bound keeps a long run of `=` with something else at its end from taking quadratic time. */
function unpadded(base64: string): string {
  return base64.replace(/={1,2}$/, '');
}
