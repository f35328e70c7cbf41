import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Scripted {
  readonly endpoint: string;
  /** What has come in, oldest first. */
  readonly requests: IncomingMessage[];
  /** Connections that were opened. */
  readonly connections: () => number;
  close(): Promise<void>;
}

export type Answer = (request: IncomingMessage, response: ServerResponse) => unknown;

/** Gives the answers that no real server gives on demand, one for each request; the last one again and again. */
export async function scripted(...answers: readonly Answer[]): Promise<Scripted> {
  const requests: IncomingMessage[] = [];
  let connections = 0;
  const server = createServer((request, response) => {
    const answer = answers[Math.min(requests.length, answers.length - 1)];
    requests.push(request);
    answer?.(request, response);
  });
  server.keepAliveTimeout = 0; // it would tell of it in its answers, as stores do not
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

/** A success, of nothing where it is a read; the body of the request is read. */
export const ok: Answer = (request, response) => {
  const headers = { etag: '"made"', 'last-modified': new Date().toUTCString(), 'content-length': '0' };
  request.resume();
  request.once('end', () => response.writeHead(200, headers).end());
};

/** An error as S3 has it. */
export function refusal(status: number, code: string, headers: Readonly<Record<string, string>> = {}, more = ''): Answer {
  return (request, response) => {
    request.resume();
    const document = `<?xml version="1.0"?>\n<Error><Code>${code}</Code><Message>${code} it is</Message>${more}</Error>`;
    request.once('end', () => response.writeHead(status, headers).end(request.method === 'HEAD' || code === '' ? '' : document));
  };
}

/** A success that says this. */
export function answering(document: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return (request, response) => {
    request.resume();
    request.once('end', () => response.writeHead(200, headers).end(document));
  };
}
