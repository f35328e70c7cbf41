import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Server } from 'node:net';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { boundary, end, field, file } from '../testing/form-server.ts';
import { RawConnection } from '../testing/raw-http.ts';
import { openForm } from './form.ts';

describe('the estimated size of the file in a form', () => {
  let server: Server;
  let onArrived = (): void => {};
  beforeAll(async () => {
    server = createServer((incoming, outgoing) => {
      incoming.on('data', () => onArrived());
      void openForm(incoming, { maxFileBytes: 1_000_000, fieldNames: [] }).then((form) => {
        const answer = () => outgoing.setHeader('connection', 'close').end(JSON.stringify({ hint: form.sizeHint }));
        if (Buffer.isBuffer(form.file)) answer();
        else form.file.resume().once('end', answer);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => void server.close());

  async function hintOf(
    form: string,
    chunks: readonly string[] = [form],
    framing = `Content-Length: ${Buffer.byteLength(form)}`,
  ): Promise<unknown> {
    const connection = await RawConnection.open(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await connection.write(
      `POST / HTTP/1.1\r\nHost: form\r\nContent-Type: multipart/form-data; boundary=${boundary}\r\n${framing}\r\n\r\n`,
    );
    let arrived: Promise<void> | undefined;
    for (const chunk of chunks) {
      await arrived;
      arrived = new Promise((resolve) => (onArrived = resolve));
      await connection.write(chunk);
    }
    const { body } = await connection.answer();
    connection.destroy();
    return (JSON.parse(body) as { hint?: number }).hint;
  }

  it('is exact for a file at the end, whatever stands before it', async () => {
    for (const size of [0, 1, 100, 100_000]) {
      expect(await hintOf(file('x'.repeat(size)) + end)).toBe(size);
      expect(await hintOf(`A preamble\n\r\n\r\nü\r\n${field('a', '\r\n\r\n1\n')}${file('\r\n\r\n'.repeat(size))}${end}`)).toBe(4 * size);
    }
  });

  it('is the same wherever the form is cut', async () => {
    const form = field('a', '1\r\n\r\n') + file('\n\r\n12345') + end;
    for (let at = 1; at < form.length; at++) expect([at, await hintOf(form, [form.slice(0, at), form.slice(at)])]).toEqual([at, 8]);
  });

  it('is 2 bytes less without the last line break, and more by what follows', async () => {
    expect(await hintOf(file('12345') + end.trimEnd())).toBe(3);
    expect(await hintOf(file('1') + end.trimEnd())).toBe(0);
    expect(await hintOf(file('12345') + field('b', '2') + end)).toBe(5 + field('b', '2').length);
  });

  it('is not there for a form of unannounced length', async () => {
    const form = file('12345') + end;
    const chunk = `${form.length.toString(16)}\r\n${form}\r\n0\r\n\r\n`;
    expect(await hintOf(form, [chunk], 'Transfer-Encoding: chunked')).toBeUndefined();
  });
});
