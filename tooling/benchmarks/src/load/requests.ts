import { connect } from 'node:net';
import type { Socket } from 'node:net';

import { formEnd, formStart, formType } from './form.ts';
import { digestOf, pieces } from './generated-bytes.ts';
import type { LoadResult, RequestsJob } from './job.ts';
import { responseReader } from './response-reader.ts';
import type { SmallResponse } from './response-reader.ts';

/**
 * A closed loop over plain sockets: the request is written as one prepared buffer, so that the generator takes little of the
 * machine it shares with the server.
 */
export async function requests(job: RequestsJob): Promise<LoadResult> {
  const message = messageOf(job);
  const { expect, body } = job;
  const sha256 = expect.sha256 === true && body !== undefined && 'file' in body ? digestOf('sha256', body.file) : undefined;
  const check = ({ status, body: answer }: SmallResponse): void => {
    const right =
      status === expect.status &&
      (expect.length === undefined || answer.byteLength === expect.length) &&
      (sha256 === undefined || answer.includes(sha256));
    if (!right)
      throw new Error(
        `${job.method} ${job.url} was answered ${status} with ${answer.byteLength} bytes: ${answer.toString('latin1', 0, 300)}`,
      );
  };
  let left = job.count;
  const take = (): boolean => left-- > 0;

  const { hostname, port } = new URL(job.url);
  const sockets = await Promise.all(Array.from({ length: job.connections }, () => opened(Number(port), hostname)));
  const started = performance.now();
  try {
    await Promise.all(sockets.map((socket) => converse(socket, { message, take, check })));
  } finally {
    for (const socket of sockets) socket.destroy();
  }
  return { seconds: (performance.now() - started) / 1000, answers: [] };
}

interface Conversation {
  readonly message: Buffer;
  /** Whether there is another request to send. */
  readonly take: () => boolean;
  readonly check: (response: SmallResponse) => void;
}

function converse(socket: Socket, { message, take, check }: Conversation): Promise<void> {
  return new Promise((resolve, reject) => {
    const next = (): void => {
      if (take()) socket.write(message);
      else resolve();
    };
    const read = responseReader((response) => {
      check(response);
      next();
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        read(chunk);
      } catch (error) {
        reject(error as Error);
      }
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('The server closed a connection that was to stay open.')));
    next();
  });
}

function messageOf({ url, method, headers, body }: RequestsJob): Buffer {
  const { pathname, search, host } = new URL(url);
  const content =
    body === undefined
      ? undefined
      : 'json' in body
        ? Buffer.from(body.json)
        : Buffer.concat([formStart, ...pieces(body.file, body.file), formEnd]);
  const fields = {
    host,
    ...headers,
    ...(body !== undefined && { 'content-type': 'json' in body ? 'application/json' : formType }),
    ...(content !== undefined && { 'content-length': String(content.byteLength) }),
  };
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`${method} ${pathname}${search} HTTP/1.1\r\n${head.join('')}\r\n`), content ?? Buffer.alloc(0)]);
}

function opened(port: number, host: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host, noDelay: true }, () => resolve(socket));
    socket.once('error', reject);
  });
}
