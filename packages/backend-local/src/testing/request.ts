import { request } from 'node:http';
import type { ClientRequest, IncomingHttpHeaders } from 'node:http';

import { readAll } from '@coffer/storage-core';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Writes the body itself, and ends or breaks the request. */
  readonly send?: (request: ClientRequest) => void;
}

/** Sends one request with its target unchanged, on its own connection; `fetch` would normalize the path. */
export function ask(base: string, target: string, { method = 'GET', headers = {}, body, send }: Ask = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(base);
    const sent = request({ hostname, port, path: target, method, headers, agent: false }, (response) => {
      readAll(response).then(
        (bytes) => resolve({ status: response.statusCode ?? 0, headers: response.headers, text: bytes.toString() }),
        reject,
      );
    });
    sent.on('error', reject);
    if (send === undefined) sent.end(body);
    else send(sent);
  });
}

export const boundary = 'a-boundary-of-the-tests';

export interface Part {
  readonly name: string;
  readonly value: string | Uint8Array;
  readonly filename?: string;
  readonly type?: string;
}

/** A multipart form. `cut` leaves out the end, as a broken connection does. */
export function formOf(parts: readonly Part[], { cut = false }: { readonly cut?: boolean } = {}): Buffer {
  const pieces: (string | Uint8Array)[] = [];
  for (const { name, value, filename, type } of parts) {
    pieces.push(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"`);
    if (filename !== undefined) pieces.push(`; filename="${filename}"`);
    if (type !== undefined) pieces.push(`\r\nContent-Type: ${type}`);
    pieces.push('\r\n\r\n', value, '\r\n');
  }
  if (cut) pieces.pop();
  else pieces.push(`--${boundary}--\r\n`);
  return Buffer.concat(pieces.map((piece) => Buffer.from(piece)));
}
