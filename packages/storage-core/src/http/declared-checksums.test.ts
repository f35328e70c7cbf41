import { createHash } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { declaredChecksums } from './declared-checksums.ts';

const sum = (algorithm: string, encoding: 'hex' | 'base64'): string => createHash(algorithm).update('sum').digest(encoding);
const sha256 = sum('sha256', 'base64');
const md5 = sum('md5', 'base64');
const both = { sha256: sum('sha256', 'hex'), md5: sum('md5', 'hex') };

describe('declared checksums', () => {
  it.each([
    [{}, {}],
    [{ 'x-amz-checksum-sha256': sha256 }, { sha256: both.sha256 }],
    [{ 'x-amz-checksum-sha256': ` ${sha256.replace('=', '')} ` }, { sha256: both.sha256 }],
    [{ 'content-md5': md5 }, { md5: both.md5 }],
    [{ digest: `SHA-256=${sha256}` }, { sha256: both.sha256 }],
    [{ digest: `md5=${md5}, sha-256=${sha256}` }, both],
    [{ 'content-digest': `sha-256=:${sha256}:` }, { sha256: both.sha256 }],
    [{ digest: `unixsum=30637, sha-256=${sha256}` }, { sha256: both.sha256 }],
    [{ digest: '' }, {}],
    [{ 'repr-digest': `sha-512=:AAAA:, sha-256=:${sha256}:` }, { sha256: both.sha256 }],
    [{ 'x-amz-checksum-sha256': sha256, 'content-digest': `sha-256=:${sha256}:` }, { sha256: both.sha256 }],
    [{ 'x-amz-checksum-crc32': 'AAAAAA==', 'content-md5': md5 }, { md5: both.md5 }],
    [{ trailer: 'Server-Timing' }, {}],
    [{ trailer: 'Repr-Digest', 'content-md5': md5 }, { md5: both.md5 }],
  ])('are read from %j', (headers, expected) => {
    expect(declaredChecksums(headers)).toEqual(expected);
  });

  it.each([
    { 'x-amz-checksum-sha256': '' },
    { 'x-amz-checksum-sha256': both.sha256 },
    { 'x-amz-checksum-sha256': md5 },
    { 'x-amz-checksum-sha256': `${sha256}, ${sha256}` },
    { 'content-md5': sha256 },
    { 'content-md5': '!!!!' },
    { digest: 'sha-256=AAAA' },
    { digest: 'SHA-512=AAAA' },
    { digest: 'garbage' },
    { 'content-digest': 'crc32c=:AAAAAA==:' },
    { digest: 'sha-256' },
    { 'content-digest': 'sha-256=::' },
    { 'repr-digest': 'sha-512=:AAAA:' },
    { 'x-amz-checksum-crc32': 'AAAAAA==' },
    { 'x-amz-checksum-crc32c': 'AAAAAA==' },
    { 'x-amz-checksum-sha1': 'AAAAAAAAAAAAAAAAAAAAAAAAAAA=' },
    { 'x-amz-checksum-crc64nvme': 'AAAAAAAAAAA=' },
    { trailer: 'X-Amz-Checksum-SHA256' },
    { trailer: 'Server-Timing, Repr-Digest' },
    { trailer: 'content-md5' },
    { 'x-amz-trailer': 'x-amz-checksum-crc32' },
    { 'x-amz-checksum-sha256': sha256, digest: `sha-256=${createHash('sha256').update('other').digest('base64')}` },
  ])('are refused: %j', (headers) => {
    const errors = [{ field: expect.any(String), message: expect.any(String) }];
    expect(() => declaredChecksums(headers)).toThrow(expect.objectContaining({ code: 'validation_failed', errors }));
  });

  it('are refused in no time, however long the padding is', () => {
    const endless = `${md5.replaceAll('=', '')}${'='.repeat(400_000)}x`;
    expect(() => declaredChecksums({ 'content-md5': endless })).toThrow(expect.objectContaining({ code: 'validation_failed' }));
  });
});
