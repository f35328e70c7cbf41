import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Scripted {
  readonly endpoint: string;
  /** The requests received, oldest first. */
  readonly requests: IncomingMessage[];
  /** The number of connections opened. */
  readonly connections: () => number;
  close(): Promise<void>;
}

export type Answer = (request: IncomingMessage, response: ServerResponse) => unknown;

/** Gives answers that no real server gives on demand, one for each request, and repeats the last one. */
export async function scripted(...answers: readonly Answer[]): Promise<Scripted> {
  const requests: IncomingMessage[] = [];
  let connections = 0;
  const server = createServer((request, response) => {
    const answer = answers[Math.min(requests.length, answers.length - 1)];
    requests.push(request);
    answer?.(request, response);
  });
  server.keepAliveTimeout = 0; // otherwise its answers would mention it, which those of stores do not
  server.on('connection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    connections: () => connections,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** A success, with an empty object if it is a read. Reads the body of the request. */
export const ok: Answer = (request, response) => {
  const headers = { etag: '"made"', 'last-modified': new Date().toUTCString(), 'content-length': '0' };
  request.resume();
  request.once('end', () => response.writeHead(200, headers).end());
};

/** An error as S3 sends it. */
export function refusal(status: number, code: string, headers: Readonly<Record<string, string>> = {}, more = ''): Answer {
  return (request, response) => {
    request.resume();
    const document = `<?xml version="1.0"?>\n<Error><Code>${code}</Code><Message>${code} it is</Message>${more}</Error>`;
    request.once('end', () => response.writeHead(status, headers).end(request.method === 'HEAD' || code === '' ? '' : document));
  };
}

/** A success with this document. */
export function answering(document: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return (request, response) => {
    request.resume();
    request.once('end', () => response.writeHead(200, headers).end(document));
  };
}
