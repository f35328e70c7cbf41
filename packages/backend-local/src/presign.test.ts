import { noContext } from '@coffer/storage-core';
import { describe, expect, it } from 'vitest';

import { localBackend } from './backend.ts';
import type { LocalBackend } from './backend.ts';

const start = new Date('2026-01-01T00:00:00.500Z');
const at = { bucket: 'bucket', key: 'a b/ü?.txt' };
const denied = (message?: RegExp): unknown =>
  expect.objectContaining({ code: 'access_denied', ...(message && { message: expect.stringMatching(message) }) });

/** A backend that never touches its directory, with a clock that the test moves. */
function backendAt(secret: string | Uint8Array = 'a secret of the tests'): { readonly backend: LocalBackend; pass(ms: number): void } {
  let time = start.getTime();
  const backend = localBackend({
    root: '/nonexistent',
    presign: { baseUrl: 'https://files.example/base/', secret },
    now: () => new Date(time),
  });
  return { backend, pass: (ms) => (time += ms) };
}

describe('presigned URLs', () => {
  it('have the base, the bucket, and the key as a path', async () => {
    const { backend } = backendAt();
    const { url } = await backend.presign!.download(at, { expiresIn: 60 }, noContext);
    expect(url).toMatch(
      /^https:\/\/files\.example\/base\/local\/bucket\/a%20b\/%C3%BC%3F\.txt\?x-coffer-expires=\d+&x-coffer-signature=[\w-]{43}$/,
    );
  });

  it('hold until the very millisecond of their expiry', async () => {
    const { backend, pass } = backendAt();
    const { url, expiresIn } = await backend.presign!.download(at, { expiresIn: 1 }, noContext);
    const query = new URL(url).searchParams;
    expect(expiresIn).toBe(1);
    pass(999);
    expect(backend.access.verifyRead(at, query)).toEqual(at);
    pass(1);
    expect(() => backend.access.verifyRead(at, query)).toThrow(denied(/expired/));
  });

  it('live a week at most, and say so', async () => {
    const { backend } = backendAt();
    expect((await backend.presign!.download(at, { expiresIn: 10_000_000 }, noContext)).expiresIn).toBe(604_800);
    expect((await backend.presign!.upload(at, { expiresIn: 10_000_000 }, noContext)).expiresIn).toBe(604_800);
  });

  it('are of no use with anything in them changed, left out or added', async () => {
    const { backend } = backendAt();
    const options = { expiresIn: 60, method: 'PUT', size: 5, contentType: 'text/plain', acl: 'private', storageClass: 'STANDARD' } as const;
    const upload = await backend.presign!.upload(at, options, noContext);
    const query = new URL(upload.url).searchParams;
    const { verifyWrite, verifyRead } = backend.access;
    const { size, contentType, acl, storageClass } = options;
    expect(verifyWrite(at, query)).toEqual({ ...at, size, contentType, acl, storageClass });
    for (const name of query.keys()) {
      const without = new URLSearchParams(query);
      without.delete(name);
      expect(() => verifyWrite(at, without)).toThrow(denied());
      const changed = new URLSearchParams(query);
      changed.set(name, `${query.get(name) ?? ''}1`);
      expect(() => verifyWrite(at, changed)).toThrow(denied());
    }
    expect(() => verifyWrite({ ...at, key: 'other' }, query)).toThrow(denied());
    expect(() => verifyWrite({ ...at, bucket: 'other' }, query)).toThrow(denied());
    expect(() => verifyRead(at, query)).toThrow(denied());
    const download = new URL((await backend.presign!.download(at, { expiresIn: 60 }, noContext)).url).searchParams;
    expect(() => verifyWrite(at, download)).toThrow(denied());
    download.set('response-content-type', 'text/html');
    expect(() => verifyRead(at, download)).toThrow(denied());
  });

  it('are of no use to another secret, and the same for one secret in text and in bytes', async () => {
    const { backend } = backendAt('a secret of the tests');
    const query = new URL((await backend.presign!.download(at, { expiresIn: 60 }, noContext)).url).searchParams;
    expect(() => backendAt('another secret of tests').backend.access.verifyRead(at, query)).toThrow(denied());
    expect(backendAt(Buffer.from('a secret of the tests')).backend.access.verifyRead(at, query)).toEqual(at);
  });
});

describe('the tenant that something was presigned for', () => {
  it('is part of what is signed', async () => {
    const { backend } = backendAt();
    const ctx = { tenant: 'acme' };
    const { verifyRead, verifyWrite, verifyForm } = backend.access;
    const read = new URL((await backend.presign!.download(at, { expiresIn: 60 }, ctx)).url).searchParams;
    const write = new URL((await backend.presign!.upload(at, { expiresIn: 60, method: 'PUT' }, ctx)).url).searchParams;
    const { fields } = await backend.presign!.upload(at, { expiresIn: 60 }, ctx);
    expect(verifyRead(at, read)).toEqual({ ...at, ...ctx });
    expect(verifyWrite(at, write)).toEqual({ ...at, ...ctx });
    expect(verifyForm('bucket', new Map(Object.entries(fields)))).toEqual({ ...at, ...ctx });
    for (const [query, verify] of [
      [read, verifyRead],
      [write, verifyWrite],
    ] as const) {
      query.set('x-coffer-tenant', 'globex');
      expect(() => verify(at, query)).toThrow(denied());
      query.delete('x-coffer-tenant');
      expect(() => verify(at, query)).toThrow(denied());
    }
  });
});

describe('presigned forms', () => {
  const fieldsOf = async (backend: LocalBackend): Promise<Map<string, string>> => {
    const { method, url, fields } = await backend.presign!.upload(at, { expiresIn: 60, size: 5, contentType: 'text/plain' }, noContext);
    expect([method, url]).toEqual(['POST', 'https://files.example/base/local/bucket']);
    return new Map(Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value]));
  };

  it('are of no use with a field changed, left out or added', async () => {
    const { backend, pass } = backendAt();
    const fields = await fieldsOf(backend);
    const { verifyForm } = backend.access;
    expect(verifyForm('bucket', fields)).toEqual({ ...at, size: 5, contentType: 'text/plain' });
    expect(() => verifyForm('other', fields)).toThrow(denied());
    for (const name of ['key', 'policy', 'x-coffer-signature']) {
      const without = new Map(fields);
      without.delete(name);
      expect(() => verifyForm('bucket', without)).toThrow(denied());
      expect(() => verifyForm('bucket', new Map(fields).set(name, `${fields.get(name) ?? ''}A`))).toThrow(denied());
    }
    expect(() => verifyForm('bucket', new Map(fields).set('acl', 'public-read'))).toThrow(denied());
    pass(60_000);
    expect(() => verifyForm('bucket', fields)).toThrow(denied(/expired/));
  });

  it('cannot be made of what a URL signs', async () => {
    const { backend } = backendAt();
    const query = new URL((await backend.presign!.upload(at, { expiresIn: 60, method: 'PUT' }, noContext)).url).searchParams;
    const claims = JSON.stringify(['PUT', at.bucket, at.key, Number(query.get('x-coffer-expires')), null, null, null, null, null]);
    for (const policy of [claims, Buffer.from(claims).toString('base64url'), 'null', '']) {
      const fields = new Map([
        ['key', at.key],
        ['policy', policy],
        ['x-coffer-signature', query.get('x-coffer-signature') ?? ''],
      ]);
      expect(() => backend.access.verifyForm('bucket', fields)).toThrow(denied());
    }
  });
});

it('a secret of few bytes is refused', () => {
  expect(() => localBackend({ root: '/nonexistent', presign: { baseUrl: 'http://x', secret: 'short' } })).toThrow(
    expect.objectContaining({ code: 'invalid_argument' }),
  );
});

it('a storage class that does not exist is not signed', async () => {
  const { backend } = backendAt();
  await expect(backend.presign!.upload(at, { expiresIn: 60, storageClass: 'COLD' }, noContext)).rejects.toMatchObject({
    code: 'invalid_argument',
  });
});

it('without a secret there is nothing to presign with, and nothing presigned is let in', () => {
  const backend = localBackend({ root: '/nonexistent' });
  expect(backend.presign).toBeUndefined();
  const query = new URLSearchParams({ 'x-coffer-expires': '99999999999999', 'x-coffer-signature': 'x' });
  expect(() => backend.access.verifyRead(at, query)).toThrow(denied());
  expect(() => backend.access.verifyWrite(at, query)).toThrow(denied());
  expect(() => backend.access.verifyForm('bucket', new Map())).toThrow(denied());
});
