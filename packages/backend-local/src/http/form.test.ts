import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';

import { hasCode, noContext, storageError } from '@coffer/storage-core';
import type { PresignedUpload } from '@coffer/storage-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { ask, boundary, formOf } from '../testing/request.ts';
import type { Answer, Part } from '../testing/request.ts';
import { leftoversIn, serve } from '../testing/storage.ts';
import type { Served } from '../testing/storage.ts';
import { localHttpHandler } from './handler.ts';

const data = randomBytes(3_000_000);
const file: Part = { name: 'file', value: data, filename: 'any name.bin', type: 'application/x-ignored' };
const at = { bucket: 'bucket', key: 'form/übung' };

let served: Served;
let upload: PresignedUpload;
let fields: readonly Part[];

beforeAll(async () => {
  served = await serve();
});

afterAll(() => served.stop());

beforeEach(async () => {
  await served.backend.delete(at, noContext);
  upload = await served.backend.presign!.upload(at, { expiresIn: 60, size: data.length, contentType: 'image/png' }, noContext);
  fields = Object.entries(upload.fields).map(([name, value]) => ({ name, value }));
});

const headers = { 'content-type': `multipart/form-data; boundary=${boundary}` };
const post = (body: Buffer, options: { readonly headers?: Record<string, string> } = {}): Promise<Answer> =>
  ask(served.url, '/local/bucket', { method: 'POST', headers, body, ...options });

async function assertNothingStored(): Promise<void> {
  const error = await served.backend.head(at, noContext).catch((cause: unknown) => cause);
  expect(hasCode(error, 'file_not_found')).toBe(true);
  await expect.poll(() => leftoversIn(served.root, served.backend)).toEqual([]);
}

describe('a presigned form', () => {
  it('is answered 204 with the ETag; the type is the field, not what the part says', async () => {
    const answer = await post(formOf([...fields, file]));
    const info = await served.backend.head(at, noContext);
    expect([answer.status, answer.headers.etag, info.size, info.contentType]).toEqual([204, `"${info.etag}"`, data.length, 'image/png']);
  });

  it('may be sent in pieces of any size', async () => {
    const body = formOf([...fields, file]);
    const answer = await ask(served.url, '/local/bucket/', {
      method: 'POST',
      headers,
      send: (request) => {
        for (let sent = 0; sent < body.length; sent += 777) request.write(body.subarray(sent, sent + 777));
        request.end();
      },
    });
    expect(answer.status).toBe(204);
  });

  it('may end with parts after the file, which do not count', async () => {
    const after: Part[] = [
      { name: 'submit', value: 'Upload' },
      { name: 'key', value: 'another' },
      { ...file, name: 'file', value: 'second' },
    ];
    expect((await post(formOf([...fields, file, ...after]))).status).toBe(204);
    expect((await served.backend.head(at, noContext)).size).toBe(data.length);
  });

  it.each([
    'without the file',
    'with the file first',
    'with a file of another name',
    'with the file as a field',
    'with a file in place of a field',
  ])('%s is refused', async (what) => {
    const parts: Record<string, readonly Part[]> = {
      'without the file': fields,
      'with the file first': [file, ...fields],
      'with a file of another name': [...fields, { ...file, name: 'upload' }],
      'with the file as a field': [...fields, { name: 'file', value: 'text' }],
      'with a file in place of a field': [{ ...file, name: 'key' }, ...fields, file],
    };
    const { status, text } = await post(formOf(parts[what]!));
    expect(status).toBe(what === 'with the file first' ? 403 : 400);
    if (status === 403) expect(text).toContain('before its file');
    await assertNothingStored();
  });

  it('of another size is refused', async () => {
    for (const value of [data.subarray(1), Buffer.concat([data, Buffer.from('x')]), Buffer.alloc(0)]) {
      expect((await post(formOf([...fields, { ...file, value }]))).status).toBe(400);
    }
    await assertNothingStored();
  });

  describe('that is judged only once nothing more of it is read', () => {
    /** @returns the answer, and the bytes that had been read by then */
    async function postHeldUp(body: Buffer, judge: () => void): Promise<{ readonly status: number; readonly read: number }> {
      const { backend } = served;
      let read = 0;
      const server = createServer((request, response) => {
        const verifyForm: typeof backend.access.verifyForm = async (...given) => {
          const isHeldUp = (): boolean => read === (read = request.socket.bytesRead);
          await expect.poll(isHeldUp).toBe(true);
          judge();
          return backend.access.verifyForm(...given);
        };
        void localHttpHandler({ backend: { ...backend, access: { ...backend.access, verifyForm } } })(request, response);
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const { status } = await ask(url, '/local/bucket', { method: 'POST', headers, body });
      await new Promise((resolve) => server.close(resolve));
      return { status, read };
    }

    it('gets an answer when it is refused, and was not read ahead', async () => {
      const { status, read } = await postHeldUp(formOf([...fields, file]), () => {
        throw storageError('access_denied', 'late');
      });
      expect(status).toBe(403);
      expect(read).toBeLessThan(data.length / 2);
    });

    it('is read to its end when its file just fills the buffer', async () => {
      const { fields: unsized } = await served.backend.presign!.upload(at, { expiresIn: 60 }, noContext);
      const parts = Object.entries(unsized).map(([name, value]) => ({ name, value }));
      const form = formOf([...parts, { ...file, value: data.subarray(0, 262_200) }, { name: 'after', value: 'x'.repeat(900_000) }]);
      expect(await postHeldUp(form, () => {})).toMatchObject({ status: 204 });
    });
  });

  it.each([
    [0, 'keep-alive'],
    [100_000, 'close'],
  ])('that is followed by %s bytes leaves the connection as %s', async (more, connection) => {
    const body = formOf([...fields, file]);
    const answer = await ask(served.url, '/local/bucket', {
      method: 'POST',
      headers: { ...headers, connection: 'keep-alive', 'content-length': String(body.length + more) },
      send: (request) => request.write(body),
    });
    expect([answer.status, answer.headers.connection]).toEqual([204, connection]);
  });

  it('that is refused is answered before all of it is there', async () => {
    const body = formOf([file, ...fields]);
    const answer = await ask(served.url, '/local/bucket', {
      method: 'POST',
      headers: { ...headers, 'content-length': String(body.length) },
      send: (request) => request.write(body.subarray(0, 100_000)),
    });
    expect(answer.status).toBe(403);
  });

  it('that ends before its file does stores nothing', async () => {
    const body = formOf([...fields, file], { cut: true });
    expect((await post(body)).status).toBe(400);
    for (const part of [0.1, 0.5, 0.99]) expect((await post(body.subarray(0, body.length * part))).status).toBe(400);
    await assertNothingStored();
  });

  it('with a file that is far too large is refused readably, also to a sender that reads nothing before it has sent everything', async () => {
    const body = formOf([...fields, { ...file, value: Buffer.alloc(70_000_000) }]);
    const socket = connect({ port: Number(new URL(served.url).port), host: '127.0.0.1' });
    const head = `POST /local/bucket HTTP/1.1\r\nHost: a\r\nContent-Type: ${headers['content-type']}\r\nContent-Length: ${body.length}\r\n\r\n`;
    socket.pause().write(head);
    await new Promise<void>((resolve, reject) => socket.once('error', reject).write(body, () => resolve()));
    const [answer] = (await once(socket.resume(), 'data')) as [Buffer];
    socket.destroy();
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 400 /);
    await assertNothingStored();
  });

  it('whose sender leaves stores nothing', async () => {
    const body = formOf([...fields, file]);
    const leaving = ask(served.url, '/local/bucket', {
      method: 'POST',
      headers: { ...headers, 'content-length': String(body.length) },
      send: (request) => request.write(body.subarray(0, 2_000_000), () => request.destroy()),
    });
    await expect(leaving).rejects.toThrow();
    await assertNothingStored();
  });

  it('that is not readable multipart is refused', async () => {
    const type = (value: string): { readonly headers: Record<string, string> } => ({ headers: { 'content-type': value } });
    const body = formOf([...fields, file]);
    expect((await post(body, type('application/json'))).status).toBe(415);
    expect((await post(body, type('application/x-www-form-urlencoded'))).status).toBe(415);
    expect((await post(body, { headers: {} })).status).toBe(415);
    expect((await post(body, type('multipart/form-data'))).status).toBe(400);
    expect((await post(body, type('multipart/form-data; boundary=other'))).status).toBe(400);
    expect((await post(Buffer.alloc(0))).status).toBe(400);
    expect((await post(Buffer.from('nonsense'))).status).toBe(400);
    await assertNothingStored();
  });

  it('that is not whole or not well-formed stores nothing, wherever that shows', async () => {
    const whole = formOf([...fields, file, { name: 'submit', value: 'Upload' }]).toString('latin1');
    const close = `--${boundary}--`;
    const behind = (text: string): string => whole.replace(close, `--${boundary}\r\n${text}\r\n\r\nx\r\n${close}`);
    const forms: Record<string, string> = {
      'cut behind the file': whole.slice(0, whole.indexOf('name="submit"')),
      'cut before the last dashes': whole.slice(0, whole.lastIndexOf('--')),
      'a part without a name behind the file': behind('Content-Disposition: form-data'),
      'no header behind the file': behind('garbage'),
      'a part without a name': `--${boundary}\r\nContent-Disposition: form-data\r\n\r\nx\r\n${whole}`,
      base64: whole.replace('Content-Type: application/x-ignored', 'Content-Transfer-Encoding: base64'),
      'a field twice': formOf([...fields, fields[0]!, file]).toString('latin1'),
      'more behind the file than is passed over': formOf([...fields, file, { name: 'x', value: 'x'.repeat(2_000_000) }]).toString('latin1'),
    };
    for (const [what, form] of Object.entries(forms)) {
      const { status, text } = await post(Buffer.from(form, 'latin1'));
      expect({ what, status, code: JSON.parse(text).code }).toEqual({ what, status: 400, code: 'validation_failed' });
    }
    await assertNothingStored();
  });

  it('may have white space behind its boundaries', async () => {
    const padded = formOf([...fields, file])
      .toString('latin1')
      .replaceAll(`--${boundary}\r\n`, `--${boundary} \t\r\n`);
    expect((await post(Buffer.from(padded, 'latin1'))).status).toBe(204);
  });

  it('with too many or too large fields is refused', async () => {
    const many = Array.from({ length: 5000 }, (_, index) => ({ name: `x${index}`, value: 'x' }));
    const together = Array.from({ length: 20 }, (_, index) => ({ name: `x${index}`, value: 'x'.repeat(10_000) }));
    for (const extra of [many, together, [{ name: 'x', value: 'x'.repeat(1_000_000) }]]) {
      expect((await post(formOf([...extra, ...fields, file]))).status).toBe(400);
    }
    await assertNothingStored();
  });

  it('signed for any type takes the type of its field, or else of its part', async () => {
    const open = await served.backend.presign!.upload(at, { expiresIn: 60 }, noContext);
    const unbound = Object.entries(open.fields).map(([name, value]) => ({ name, value }));
    const typeOf = async (parts: readonly Part[]): Promise<string> => {
      expect((await post(formOf(parts))).status).toBe(204);
      return (await served.backend.head(at, noContext)).contentType;
    };
    expect(await typeOf([...unbound, { name: 'Content-Type', value: 'text/csv' }, file])).toBe('text/csv');
    expect(await typeOf([...unbound, file])).toBe('application/x-ignored');
    expect((await post(formOf([...unbound, { name: 'Content-Type', value: 'no type' }, file]))).status).toBe(400);
  });
});
