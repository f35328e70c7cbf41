import { allEnded } from '../concurrency.ts';
import type { Store } from '../store.ts';
import { crc32Of } from '../upload/checksums.ts';
import type { Sandbox } from './sandbox.ts';
import { isAcceptedUnsigned, objectUrl } from './unsigned.ts';

const content = Buffer.from('forged');

/**
 * Whether the server refuses writes that name the access key, as every presigned URL does, but have no valid signature. MinIO does not
 * check a signature in the query if the checksum of the body follows the body (CVE-2026-41145), most test fakes never check one, and
 * MiniStack checks those of presigned URLs, but takes a write from anybody who sends none.
 */
export async function checksSignatures(store: Store, sandbox: Sandbox): Promise<boolean> {
  const accepted = await allEnded([
    isForgeryAccepted(store, sandbox, { key: 'anonymous', isSigned: false, body: content }),
    isForgeryAccepted(store, sandbox, { key: 'forged', sum: 'UNSIGNED-PAYLOAD', body: content }),
    isForgeryAccepted(store, sandbox, {
      key: 'forged-trailer',
      sum: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      headers: {
        'content-encoding': 'aws-chunked',
        'x-amz-decoded-content-length': content.length,
        'x-amz-trailer': 'x-amz-checksum-crc32',
      },
      body: Buffer.from(`${content.length}\r\n${content.toString()}\r\n0\r\nx-amz-checksum-crc32:${crc32Of(content)}\r\n\r\n`),
    }),
  ]);
  return !accepted.includes(true);
}

interface Forgery {
  readonly key: string;
  /** False if it names no access key either. Default true. */
  readonly isSigned?: boolean;
  /** The value of x-amz-content-sha256. */
  readonly sum?: string;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body: Buffer;
}

async function isForgeryAccepted(store: Store, sandbox: Sandbox, { key, isSigned = true, sum, headers, body }: Forgery): Promise<boolean> {
  const at = sandbox.at(key);
  // A form contains the credential, its day and its region; only a signature is missing.
  const { url, fields } = await store.presigners.internal.form(at, { expiresIn: 600 });
  const known = Object.entries(fields).filter(([name]) => name.startsWith('X-Amz-'));
  const query = new URLSearchParams({
    ...Object.fromEntries(known),
    'X-Amz-Expires': '600',
    'X-Amz-SignedHeaders': 'host',
    'X-Amz-Signature': '0'.repeat(64),
  });
  const request = {
    url: `${objectUrl(url, at.key)}${isSigned ? `?${query.toString()}` : ''}`,
    method: 'PUT',
    headers: { ...headers, 'content-length': body.length, ...(sum !== undefined && { 'x-amz-content-sha256': sum }) },
    body,
  } as const;
  // A proxy may close the connection of whoever sends such a request, each time.
  return isAcceptedUnsigned(store, sandbox, request, { isDispensable: true });
}
