import { createHash, randomBytes } from 'node:crypto';
import { open, readdir, readlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest';

import { boundary, field } from '../../testing/form-server.ts';
import { RawConnection } from '../../testing/raw-http.ts';
import { onEachBackend, where } from '../../testing/on-each-backend.ts';
import type { TestApi } from '../../testing/start-api.ts';
import { acme, admin, service } from '../../testing/tokens.ts';

const maxUploadBytes = 3_000_000;
const hash = (algorithm: string, data: string | Uint8Array, encoding: 'hex' | 'base64' = 'hex'): string =>
  createHash(algorithm).update(data).digest(encoding);

function formOf(fields: Record<string, string | Blob>): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  return form;
}

/** The answer to a form of which only the fields and the first bytes of the file arrive. */
async function begun(
  api: TestApi,
  headers: Readonly<Record<string, string>>,
  fields: Readonly<Record<string, string>>,
  type = 'text/plain',
): Promise<{ status: number; code: string }> {
  const connection = await RawConnection.open(api.url);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const parts = Object.entries(fields).map(([name, value]) => field(name, value));
  const form = `${parts.join('')}--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\nContent-Type: ${type}\r\n\r\nfirst bytes`;
  await connection.write(
    `POST /api/v1/storage/objects/begun HTTP/1.1\r\nHost: x\r\n${lines.join('')}Content-Type: multipart/form-data; boundary=${boundary}\r\n` +
      `Content-Length: 2000000\r\n\r\n${form}`,
  );
  const { status, body } = await connection.answer({ timeoutMs: 3000 }).finally(() => connection.destroy());
  return { status, code: (JSON.parse(body) as { code: string }).code };
}

onEachBackend('an upload of an object', ({ start, bucket, abilities }) => {
  let api: TestApi;
  let headers: { authorization: string };
  const send: TestApi['send'] = (method, path, options = {}) =>
    api.send(method, `/api/v1/storage/objects/${path}`, { ...options, headers: { ...headers, ...options.headers } });

  beforeAll(async () => {
    api = await start({ STORAGE_MAX_UPLOAD_BYTES: String(maxUploadBytes) });
    headers = await admin();
    await api.send('POST', '/api/v1/storage/buckets', { headers, json: { name: bucket('other') } });
  });
  afterAll(() => api.stop());

  const acl = abilities.acl ? 'public-read' : 'private';
  const storageClass = abilities.otherClass ?? 'STANDARD';

  it('as a form goes where the query says, unless the form says something else', async () => {
    const query = `form-query.txt?bucket=${bucket('other')}&acl=${acl}`;
    const form = (fields: Record<string, string | Blob>): FormData => formOf({ ...fields, file: new Blob(['hello']) });
    expect(await send('POST', query, { form: form({}) })).toMatchObject({ status: 201, json: { bucket: bucket('other') } });
    expect(await send('POST', query, { form: form({ bucket: bucket('other') }) })).toMatchObject({ status: 201 });
    for (const fields of [{ bucket: bucket('another') }, { acl: 'authenticated-read' }]) {
      const [field] = Object.keys(fields);
      expect(await send('POST', query, { form: form(fields) })).toMatchObject({ status: 400, json: { errors: [{ field }] } });
    }
    expect(await send('POST', 'form.txt?acl=everybody', { form: form({}) })).toMatchObject({ status: 400 });
  });

  it('raw answers what was written', async () => {
    const {
      status,
      json,
      headers: answered,
    } = await send('PUT', `raw.txt?bucket=${bucket('other')}&acl=${acl}&storage_class=${storageClass}`, {
      body: 'hello',
      headers: { 'content-type': 'text/plain; charset=utf-8' },
    });
    expect(status).toBe(201);
    expect(json).toEqual({
      bucket: bucket('other'),
      key: 'raw.txt',
      etag: hash('md5', 'hello'),
      size_bytes: 5,
      content_type: 'text/plain; charset=utf-8',
      storage_class: storageClass,
    });
    expect(answered.etag).toBe(`"${json.etag}"`);
    const list = await api.send('GET', `/api/v1/storage/objects?prefix=raw.txt&bucket=${bucket('other')}`, { headers });
    expect(list.json.objects).toEqual([expect.objectContaining({ key: 'raw.txt', etag: json.etag, storage_class: storageClass })]);
    if (abilities.acl) expect((await send('GET', `raw.txt/acl?bucket=${bucket('other')}`)).json.grants).toHaveLength(2);
  });

  it('raw takes the type from the key where none is declared, any length, and none', async () => {
    expect((await send('PUT', 'a/b.pdf', { body: 'x' })).json).toMatchObject({
      bucket: bucket('coffer-uploads'),
      content_type: 'application/pdf',
      storage_class: 'STANDARD',
    });
    expect((await send('PUT', 'noext', { body: '' })).json).toMatchObject({
      size_bytes: 0,
      content_type: 'application/octet-stream',
      etag: hash('md5', ''),
    });
    const data = randomBytes(500_000);
    expect((await send('PUT', 'chunked', { body: Readable.from([data.subarray(0, 1000), data.subarray(1000)]) })).json).toMatchObject({
      size_bytes: 500_000,
      etag: hash('md5', data),
    });
    expect((await send('GET', 'chunked')).bytes.equals(data)).toBe(true);
  });

  it('as a form takes its fields in any order', async () => {
    const file = new Blob(['in a form'], { type: 'text/x-form' });
    const fields = { bucket: bucket('other'), acl, storage_class: storageClass };
    for (const form of [
      formOf({ ...fields, file }),
      formOf({ file, ...fields }),
      formOf({ bucket: bucket('other'), file, storage_class: storageClass, acl }),
    ]) {
      const { status, json, headers: answered } = await send('POST', 'form/%C3%BC.bin', { form });
      expect(status).toBe(201);
      expect(json).toEqual({
        bucket: bucket('other'),
        key: 'form/ü.bin',
        etag: hash('md5', 'in a form'),
        size_bytes: 9,
        content_type: 'text/x-form',
        storage_class: storageClass,
      });
      expect(answered.etag).toBe(`"${json.etag}"`);
      if (abilities.acl) expect((await send('GET', `form/%C3%BC.bin/acl?bucket=${bucket('other')}`)).json.grants).toHaveLength(2);
      await send('DELETE', `form/%C3%BC.bin?bucket=${bucket('other')}`);
    }
    expect((await send('POST', 'plain', { form: formOf({ file: new Blob(['x']), bucket: '', unknown: 'ignored' }) })).json).toMatchObject({
      bucket: bucket('coffer-uploads'),
      storage_class: 'STANDARD',
    });
  });

  it.each([
    ['an unknown ACL', { acl: 'nonsense' }, 400, 'validation_failed'],
    ['a bucket that is not there', { bucket: 'absent-bucket' }, 404, 'no_such_bucket'],
    ['an invalid bucket name', { bucket: 'NO' }, 400, 'invalid_bucket_name'],
    ['an invalid media type', { bucket: bucket('other') }, 400, 'validation_failed', 'nonsense'],
  ])('as a form with %s before the file is answered before the file has come', async (_what, fields, status, code, type = 'text/plain') => {
    const answer = await begun(api, headers, fields, type);
    expect(answer).toMatchObject({ status, code });
    expect(await send('GET', 'begun')).toMatchObject({ status: 404 });
  });

  it('as a form for a bucket of others is answered before the file has come', async () => {
    await api.send('POST', '/api/v1/admin/tenants', { headers, json: { tenant_uuid: acme.uuid, tenant_slug: acme.slug } });
    const worker = { ...(await service()), 'x-tenant-id': acme.slug };
    expect(await begun(api, worker, { bucket: bucket('other') })).toMatchObject({ status: 403, code: 'forbidden' });
  });

  it('as a large form with late fields goes where they say, and leaves no temporary file', async () => {
    const data = randomBytes(2_500_000);
    const { status, json } = await send('POST', 'late', { form: formOf({ file: new Blob([data]), bucket: bucket('other') }) });
    expect({ status, json }).toMatchObject({
      status: 201,
      json: { bucket: bucket('other'), size_bytes: data.length, etag: hash('md5', data) },
    });
    expect((await send('GET', `late?bucket=${bucket('other')}`)).bytes.equals(data)).toBe(true);
    expect(await send('GET', 'late')).toMatchObject({ status: 404 });
    expect(await readdir(join(api.dataDir, 'spool'))).toEqual([]);
  });

  it('as a large form is not stored if the temporary file cannot be read back', async () => {
    const any = await open('/dev/null');
    const handles = Object.getPrototypeOf(any) as FileHandle;
    await any.close();
    const failing = vi.spyOn(handles, 'read').mockRejectedValueOnce(Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' }));
    onTestFinished(() => failing.mockRestore());
    const form = formOf({ file: new Blob([randomBytes(2_500_000)]), bucket: bucket('other') });
    expect(await send('POST', 'unread', { form })).toMatchObject({ status: 503, json: { code: 'storage_unavailable' } });
    expect(await send('GET', `unread?bucket=${bucket('other')}`)).toMatchObject({ status: 404 });
  });

  it('as a large form goes into a bucket of which the provider does not tell whether it is there', async () => {
    const asking = vi.spyOn(api.runtime.storage, 'bucketExists').mockRejectedValue(new Error('not allowed to look'));
    onTestFinished(() => asking.mockRestore());
    const form = formOf({ bucket: bucket('other'), file: new Blob([randomBytes(2_500_000)]) });
    expect(await send('POST', 'unseen', { form })).toMatchObject({ status: 201, json: { bucket: bucket('other') } });
    expect(asking).toHaveBeenCalled();
  });

  it.runIf(process.platform === 'linux')('as a large form keeps no room on the disk, whatever becomes of it', async () => {
    const spool = join(api.dataDir, 'spool');
    const held = async (): Promise<readonly string[]> => {
      const files = (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
      return (await Promise.all(files)).filter((path) => path.startsWith(spool)); // also files that have no name any more
    };
    const data = randomBytes(2_500_000);
    for (const [name, status] of [
      [bucket('other'), 201],
      [bucket('absent'), 404],
    ] as const) {
      expect(await send('POST', 'late', { form: formOf({ file: new Blob([data]), bucket: name }) })).toMatchObject({ status });
      await expect.poll(held).toEqual([]);
    }
  });

  where(!abilities.acl, () =>
    it('is refused with an ACL that the provider would not keep', async () => {
      const refused = { status: 501, json: { code: 'acl_not_supported' } };
      expect(await send('PUT', 'open?acl=public-read', { body: 'x' })).toMatchObject(refused);
      const file = new Blob(['x']);
      for (const form of [formOf({ acl: 'public-read', file }), formOf({ file, acl: 'public-read' })])
        expect(await send('POST', 'open', { form })).toMatchObject(refused);
      expect(await send('GET', 'open')).toMatchObject({ status: 404 });
    }),
  );

  it('is refused for an invalid bucket, ACL or class', async () => {
    const cases = [
      [{ bucket: bucket('no-such-bucket') }, 404, 'no_such_bucket'],
      [{ bucket: 'NO' }, 400, 'invalid_bucket_name'],
      [{ acl: 'open' }, 400, 'validation_failed'],
      [{ storage_class: 'COLD' }, 400, 'invalid_argument'],
    ] as const;
    for (const [fields, status, code] of cases) {
      const file = new Blob(['x']);
      expect(await send('PUT', `refused?${new URLSearchParams(fields as Record<string, string>)}`, { body: 'x' })).toMatchObject({
        status,
        json: { code },
      });
      for (const form of [
        formOf({ file, ...fields }),
        formOf({ bucket: bucket('coffer-uploads'), acl: 'private', storage_class: 'STANDARD', ...fields, file }),
      ]) {
        expect(await send('POST', 'refused', { form })).toMatchObject({ status, json: { code } });
      }
    }
    expect(await send('GET', 'refused')).toMatchObject({ status: 404 });
  });

  it('is refused when it is no form, or one of another kind', async () => {
    expect(await send('POST', 'refused', { body: 'x', headers: { 'content-type': 'text/plain' } })).toMatchObject({
      status: 415,
      json: { code: 'unsupported_media_type' },
    });
    expect(await send('POST', 'refused', { json: {} })).toMatchObject({ status: 415 });
    expect(await send('POST', 'refused', { form: formOf({ bucket: bucket('other') }) })).toMatchObject({
      status: 400,
      json: { code: 'validation_failed', errors: [{ field: 'file' }] },
    });
    const two = new FormData();
    two.append('bucket', bucket('coffer-uploads'));
    two.append('acl', 'private');
    two.append('storage_class', 'STANDARD');
    two.append('file', new Blob(['1']));
    two.append('file', new Blob(['2']));
    expect(await send('POST', 'refused', { form: two })).toMatchObject({ status: 400, json: { code: 'validation_failed' } });
    expect(await send('GET', 'refused')).toMatchObject({ status: 404 });
  });

  it('of the largest size is taken, and of one byte more refused, announced or not', async () => {
    const most = Buffer.alloc(maxUploadBytes);
    const more = Buffer.alloc(maxUploadBytes + 1);
    expect(await send('PUT', 'size', { body: most })).toMatchObject({ status: 201 });
    expect(await send('POST', 'size', { form: formOf({ file: new Blob([most]) }) })).toMatchObject({ status: 201 });
    const refused = { status: 413, json: { code: 'payload_too_large' } };
    expect(await send('PUT', 'size2', { body: more })).toMatchObject(refused);
    expect(await send('PUT', 'size2', { body: Readable.from([more]) })).toMatchObject(refused);
    expect(await send('POST', 'size2', { form: formOf({ file: new Blob([more]) }) })).toMatchObject(refused);
    expect(
      await send('POST', 'size2', {
        form: formOf({ bucket: bucket('coffer-uploads'), acl: 'private', storage_class: 'STANDARD', file: new Blob([more]) }),
      }),
    ).toMatchObject(refused);
    expect(await send('GET', 'size2')).toMatchObject({ status: 404 });
  });

  it.each([
    ['x-amz-checksum-sha256', hash('sha256', 'sum', 'base64'), hash('sha256', 'other', 'base64')],
    ['content-md5', hash('md5', 'sum', 'base64'), hash('md5', 'other', 'base64')],
    ['digest', `sha-256=${hash('sha256', 'sum', 'base64')}`, `SHA-256=${hash('sha256', 'other', 'base64')}`],
    ['digest', `unixsum=30637,md5=${hash('md5', 'sum', 'base64')}`, `md5=${hash('md5', 'other', 'base64')}`],
    ['content-digest', `sha-256=:${hash('sha256', 'sum', 'base64')}:`, `sha-256=:${hash('sha256', 'other', 'base64')}:`],
  ])('is verified against %s', async (header, right, wrong) => {
    const form = (): FormData => formOf({ file: new Blob(['sum']) });
    expect(await send('PUT', 'sum', { body: 'sum', headers: { [header]: right } })).toMatchObject({ status: 201 });
    expect(await send('POST', 'sum', { form: form(), headers: { [header]: right } })).toMatchObject({ status: 201 });
    for (const each of [{ body: 'sum' }, { form: form() }]) {
      expect(await send('body' in each ? 'PUT' : 'POST', 'sum2', { ...each, headers: { [header]: wrong } })).toMatchObject({
        status: 422,
        json: { code: 'checksum_mismatch' },
      });
    }
    expect(await send('GET', 'sum2')).toMatchObject({ status: 404 });
  });

  it('can be made conditional on what exists', async () => {
    const absent = { headers: { 'if-none-match': '*' }, body: 'first' };
    expect(await send('PUT', 'once', absent)).toMatchObject({ status: 201 });
    expect(await send('PUT', 'once', absent)).toMatchObject({ status: 412, json: { code: 'precondition_failed' } });
    const races = await Promise.all(
      Array.from({ length: 16 }, (_, n) => send('PUT', 'raced', { headers: { 'if-none-match': '*' }, body: String(n) })),
    );
    expect(races.map(({ status }) => status).sort()).toEqual([201, ...Array.from({ length: 15 }, () => 412)]);
    const etag = hash('md5', 'first');
    expect(await send('PUT', 'once', { headers: { 'if-match': `"${etag}"` }, body: 'second' })).toMatchObject({ status: 201 });
    expect(await send('PUT', 'once', { headers: { 'if-match': `"${etag}"` }, body: 'third' })).toMatchObject({ status: 412 });
    expect((await send('GET', 'once')).text).toBe('second');
    for (const [name, value] of [
      ['if-none-match', `"${etag}"`],
      ['if-match', `"a", "b"`],
      ['if-match', etag],
      ['if-match', '*'],
      ['if-unmodified-since', new Date().toUTCString()],
    ] as const) {
      expect(await send('PUT', 'once', { headers: { [name]: value }, body: 'x' })).toMatchObject({
        status: 400,
        json: { code: 'validation_failed' },
      });
    }
  });

  it('is refused with headers that would make it something else', async () => {
    expect(await send('PUT', 'gz', { headers: { 'content-encoding': 'gzip' }, body: 'x' })).toMatchObject({
      status: 415,
      json: { code: 'unsupported_media_type' },
    });
    expect(await send('PUT', 'gz', { headers: { 'content-range': 'bytes 0-0/2' }, body: 'x' })).toMatchObject({
      status: 400,
      json: { code: 'validation_failed' },
    });
    for (const type of ['nonsense', 'text/', 'a/b; c', 'text/plain, text/html']) {
      expect(await send('PUT', 'gz', { headers: { 'content-type': type }, body: 'x' })).toMatchObject({
        status: 400,
        json: { code: 'validation_failed', errors: [{ field: 'Content-Type' }] },
      });
    }
    expect(await send('PUT', 'gz', { headers: { 'content-encoding': 'identity' }, body: 'x' })).toMatchObject({ status: 201 });
  });
});
