import { noContext } from '@coffer/storage-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { localBackend } from './backend.ts';
import type { LocalBackend } from './backend.ts';
import type { PresignSettings } from './presign.ts';
import { scratch } from './testing/storage.ts';

const start = new Date('2026-01-01T00:00:00.500Z');
const at = { bucket: 'bucket', key: 'a b/ü?.txt' };
const denied = (message?: RegExp): unknown =>
  expect.objectContaining({ code: 'access_denied', ...(message && { message: expect.stringMatching(message) }) });

let root = '';
let removeRoot: () => Promise<void>;
const opened: LocalBackend[] = [];

beforeAll(async () => {
  ({ path: root, remove: removeRoot } = await scratch());
  await backendAt().backend.buckets?.create('bucket', {}, noContext);
});
afterAll(async () => {
  await Promise.all(opened.map((backend) => backend.close()));
  await removeRoot();
});

/** A backend on the shared bucket, with a clock that the test moves. */
function backendAt(secret: string | Uint8Array = 'a secret of the tests'): { readonly backend: LocalBackend; pass(ms: number): void } {
  let time = start.getTime();
  const backend = localBackend({
    root,
    presign: { baseUrl: 'https://files.example/base/', secret },
    now: () => new Date(time),
  });
  opened.push(backend);
  return { backend, pass: (ms) => (time += ms) };
}

describe('presigned URLs', () => {
  it('have the base, the bucket, and the key as a path', async () => {
    const { backend } = backendAt();
    const { url } = await backend.presign!.download(at, { expiresIn: 60 }, noContext);
    expect(url).toMatch(
      /^https:\/\/files\.example\/base\/local\/bucket\/a%20b\/%C3%BC%3F\.txt\?x-coffer-bucket=\d+&x-coffer-expires=\d+&x-coffer-signature=[\w-]{43}$/,
    );
  });

  it('hold until the very millisecond of their expiry', async () => {
    const { backend, pass } = backendAt();
    const { url, expiresIn } = await backend.presign!.download(at, { expiresIn: 1 }, noContext);
    const query = new URL(url).searchParams;
    expect(expiresIn).toBe(1);
    pass(999);
    expect(await backend.access.verifyRead(at, query)).toEqual(at);
    pass(1);
    await expect(backend.access.verifyRead(at, query)).rejects.toEqual(denied(/expired/));
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
    expect(await verifyWrite(at, query)).toEqual({ ...at, size, contentType, acl, storageClass });
    for (const name of query.keys()) {
      const without = new URLSearchParams(query);
      without.delete(name);
      await expect(verifyWrite(at, without)).rejects.toEqual(denied());
      const changed = new URLSearchParams(query);
      changed.set(name, `${query.get(name) ?? ''}1`);
      await expect(verifyWrite(at, changed)).rejects.toEqual(denied());
    }
    await expect(verifyWrite({ ...at, key: 'other' }, query)).rejects.toEqual(denied());
    await expect(verifyWrite({ ...at, bucket: 'other' }, query)).rejects.toEqual(denied());
    await expect(verifyRead(at, query)).rejects.toEqual(denied());
    const download = new URL((await backend.presign!.download(at, { expiresIn: 60 }, noContext)).url).searchParams;
    await expect(verifyWrite(at, download)).rejects.toEqual(denied());
    download.set('response-content-type', 'text/html');
    await expect(verifyRead(at, download)).rejects.toEqual(denied());
  });

  it('are refused with a parameter added, whatever its value', async () => {
    const { backend } = backendAt();
    const query = new URL((await backend.presign!.upload(at, { expiresIn: 60, method: 'PUT' }, noContext)).url).searchParams;
    expect(await backend.access.verifyWrite(at, query)).toEqual(at);
    for (const name of ['size', 'content-type', 'acl', 'storage-class', 'tenant']) {
      for (const value of ['', '5', 'null', 'none', 'NaN', 'Infinity', '9'.repeat(400)]) {
        const added = new URLSearchParams([...query, [`x-coffer-${name}`, value]]);
        await expect(backend.access.verifyWrite(at, added), `${name}=${value}`).rejects.toEqual(denied());
      }
    }
  });

  it('are of no use to another secret, and the same for one secret in text and in bytes', async () => {
    const { backend } = backendAt('a secret of the tests');
    const query = new URL((await backend.presign!.download(at, { expiresIn: 60 }, noContext)).url).searchParams;
    await expect(backendAt('another secret of tests').backend.access.verifyRead(at, query)).rejects.toEqual(denied());
    expect(await backendAt(Buffer.from('a secret of the tests')).backend.access.verifyRead(at, query)).toEqual(at);
  });
});

describe('the bucket that something was presigned for', () => {
  const again = { ...at, bucket: 'again' };
  const missing = expect.objectContaining({ code: 'no_such_bucket' });

  it('is the one that existed then, not a later one of the same name', async () => {
    const { backend } = backendAt();
    const buckets = backend.buckets!;
    const { verifyRead, verifyWrite, verifyForm } = backend.access;
    await buckets.create('again', {}, noContext);
    const read = new URL((await backend.presign!.download(again, { expiresIn: 60 }, noContext)).url).searchParams;
    const write = new URL((await backend.presign!.upload(again, { expiresIn: 60, method: 'PUT' }, noContext)).url).searchParams;
    const fields = new Map(Object.entries((await backend.presign!.upload(again, { expiresIn: 60 }, noContext)).fields));
    expect(await verifyRead(again, read)).toEqual(again);
    expect(await verifyForm('again', fields)).toEqual(again);
    const refused = async (error: unknown): Promise<void> => {
      await expect(verifyRead(again, read)).rejects.toEqual(error);
      await expect(verifyWrite(again, write)).rejects.toEqual(error);
      await expect(verifyForm('again', fields)).rejects.toEqual(error);
    };
    await buckets.delete('again', {}, noContext);
    await refused(missing);
    await buckets.create('again', {}, noContext);
    await refused(denied(/was deleted/));
  });

  it('has to be there', async () => {
    const { backend } = backendAt();
    const nowhere = { ...at, bucket: 'nowhere' };
    await expect(backend.presign!.upload(nowhere, { expiresIn: 60 }, noContext)).rejects.toEqual(missing);
    await expect(backend.presign!.download(nowhere, { expiresIn: 60 }, noContext)).rejects.toEqual(missing);
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
    expect(await verifyRead(at, read)).toEqual({ ...at, ...ctx });
    expect(await verifyWrite(at, write)).toEqual({ ...at, ...ctx });
    expect(await verifyForm('bucket', new Map(Object.entries(fields)))).toEqual({ ...at, ...ctx });
    for (const [query, verify] of [
      [read, verifyRead],
      [write, verifyWrite],
    ] as const) {
      query.set('x-coffer-tenant', 'globex');
      await expect(verify(at, query)).rejects.toEqual(denied());
      query.delete('x-coffer-tenant');
      await expect(verify(at, query)).rejects.toEqual(denied());
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
    expect(await verifyForm('bucket', fields)).toEqual({ ...at, size: 5, contentType: 'text/plain' });
    await expect(verifyForm('other', fields)).rejects.toEqual(denied());
    for (const name of ['key', 'policy', 'x-coffer-signature']) {
      const without = new Map(fields);
      without.delete(name);
      await expect(verifyForm('bucket', without)).rejects.toEqual(denied());
      await expect(verifyForm('bucket', new Map(fields).set(name, `${fields.get(name) ?? ''}A`))).rejects.toEqual(denied());
    }
    await expect(verifyForm('bucket', new Map(fields).set('acl', 'public-read'))).rejects.toEqual(denied());
    pass(60_000);
    await expect(verifyForm('bucket', fields)).rejects.toEqual(denied(/expired/));
  });

  it('cannot be forged from the signature of a URL', async () => {
    const { backend } = backendAt();
    const query = new URL((await backend.presign!.upload(at, { expiresIn: 60, method: 'PUT' }, noContext)).url).searchParams;
    const claims = JSON.stringify(['PUT', at.bucket, 1, at.key, Number(query.get('x-coffer-expires')), null, null, null, null, null]);
    for (const policy of [claims, Buffer.from(claims).toString('base64url'), 'null', '']) {
      const fields = new Map([
        ['key', at.key],
        ['policy', policy],
        ['x-coffer-signature', query.get('x-coffer-signature') ?? ''],
      ]);
      await expect(backend.access.verifyForm('bucket', fields)).rejects.toEqual(denied());
    }
  });
});

it.each([
  ['a secret of few bytes', { secret: 'short' }],
  ['no secret', { secret: undefined }],
  ['a base without http:// or https://', { baseUrl: 'localhost:8080' }],
  ['no base', { baseUrl: undefined }],
])('%s is refused', (_what, wrong) => {
  const presign = { baseUrl: 'http://x', secret: 'a secret of many bytes', ...wrong } as PresignSettings; // as plain JavaScript may do
  expect(() => localBackend({ root: '/nonexistent', presign })).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
});

it('a storage class that does not exist is not signed', async () => {
  const { backend } = backendAt();
  await expect(backend.presign!.upload(at, { expiresIn: 60, storageClass: 'COLD' }, noContext)).rejects.toMatchObject({
    code: 'invalid_argument',
  });
});

it('without a secret there is nothing to presign with, and nothing presigned is let in', async () => {
  const backend = localBackend({ root: '/nonexistent' });
  expect(backend.presign).toBeUndefined();
  const query = new URLSearchParams({ 'x-coffer-expires': '99999999999999', 'x-coffer-signature': 'x' });
  await expect(backend.access.verifyRead(at, query)).rejects.toEqual(denied());
  await expect(backend.access.verifyWrite(at, query)).rejects.toEqual(denied());
  await expect(backend.access.verifyForm('bucket', new Map())).rejects.toEqual(denied());
});
