import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { Writable } from 'node:stream';

import { sendProblem } from '@coffer/storage-core/http';

import { openForm } from '../http/form.ts';
import { RawConnection } from './raw-http.ts';
import type { RawAnswer } from './raw-http.ts';

export interface ReadForm {
  readonly filename?: string;
  readonly contentType?: string;
  readonly size: number;
  readonly sha256: string;
  readonly fields: Record<string, string>;
}

export interface FormServer {
  readonly url: string;
  /** Number of forms being read right now. */
  readonly open: () => number;
  /** Milliseconds to wait after each chunk that is read. */
  pauseMs: number;
  post(body: string | Uint8Array | readonly (string | Uint8Array)[], options?: PostOptions): Promise<RawAnswer>;
  close(): Promise<void>;
}

export interface PostOptions {
  readonly type?: string | null;
  /** Content-Length to send instead of the true one; null sends chunked. */
  readonly length?: number | null;
  readonly timeoutMs?: number;
}

export const boundary = 'the-boundary';

/** A part of a form, including the CRLF at its end. */
export function part(headers: string | readonly string[], body = ''): string {
  return `--${boundary}\r\n${[headers].flat().join('\r\n')}\r\n\r\n${body}\r\n`;
}

export const field = (name: string, value: string): string => part(`Content-Disposition: form-data; name="${name}"`, value);
export const file = (body: string, filename = 'a.txt', name = 'file'): string =>
  part([`Content-Disposition: form-data; name="${name}"; filename="${filename}"`, 'Content-Type: text/plain'], body);
export const end = `--${boundary}--\r\n`;

/** A bare HTTP server that only reads forms. */
export async function startFormServer(maxFileBytes = 1_000_000): Promise<FormServer> {
  let open = 0;
  const server = createServer((incoming, outgoing) => {
    outgoing.setHeader('connection', 'close');
    const read = async (): Promise<ReadForm> => {
      const form = await openForm(incoming, { maxFileBytes, fieldNames: ['metadata'] });
      const hash = createHash('sha256');
      let size = 0;
      const sink = new Writable({
        highWaterMark: 1,
        write: (chunk: Buffer, _encoding, done) => {
          size += chunk.length;
          hash.update(chunk);
          if (result.pauseMs === 0) done();
          else setTimeout(done, result.pauseMs);
        },
      });
      await pipeline(Buffer.isBuffer(form.file) ? [form.file] : form.file, sink);
      return {
        ...(form.filename !== undefined && { filename: form.filename }),
        ...(form.contentType !== undefined && { contentType: form.contentType }),
        size,
        sha256: hash.digest('hex'),
        fields: Object.fromEntries(form.fields),
      };
    };
    open += 1;
    read()
      .then(
        (form) => outgoing.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(form)),
        (error: unknown) => sendProblem(outgoing, error, 'test'),
      )
      .finally(() => {
        open -= 1;
      });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const result: FormServer = {
    url,
    open: () => open,
    pauseMs: 0,
    post: async (body, options = {}) => {
      const { type = `multipart/form-data; boundary=${boundary}`, length, timeoutMs } = options;
      const chunks = [body as string]
        .flat()
        .map((chunk) => Buffer.from(chunk))
        .filter((chunk) => chunk.length > 0);
      const total = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      const connection = await RawConnection.open(url);
      const framing = length === null ? 'Transfer-Encoding: chunked' : `Content-Length: ${length ?? total}`;
      await connection.write(`POST / HTTP/1.1\r\nHost: form\r\n${type === null ? '' : `Content-Type: ${type}\r\n`}${framing}\r\n\r\n`);
      for (const chunk of chunks) {
        if (length === null) await connection.write(`${chunk.length.toString(16)}\r\n`);
        await connection.write(chunk);
        if (length === null) await connection.write('\r\n');
      }
      if (length === null) await connection.write('0\r\n\r\n');
      try {
        return await connection.answer(timeoutMs === undefined ? {} : { timeoutMs });
      } finally {
        connection.destroy();
      }
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return result;
}
