import { connect } from 'node:net';
import type { Socket } from 'node:net';

import { formEnd, formStart, formType } from './form.ts';
import { digestOf, matches, pieces } from './generated-bytes.ts';
import type { LoadResult, RequestsJob } from './job.ts';
import { responseReader } from './response-reader.ts';
import type { SmallResponse } from './response-reader.ts';

/**
 * A closed loop over plain sockets: requests are prepared in advance, so that the generator takes little of the machine that it
 * shares with the server.
 */
export async function requests(job: RequestsJob): Promise<LoadResult> {
  const messages = messagesOf(job);
  const check = checkOf(job);
  const latencies: number[] = [];
  let sent = 0;
  const take = (): readonly Buffer[] | undefined => (sent < job.count ? messages(sent++) : undefined);

  const { hostname, port } = new URL(job.url);
  const sockets = await Promise.all(Array.from({ length: job.connections }, () => opened(Number(port), hostname)));
  const started = performance.now();
  try {
    await Promise.all(sockets.map((socket) => converse(socket, { take, check, latencies })));
  } finally {
    for (const socket of sockets) socket.destroy();
  }
  const seconds = (performance.now() - started) / 1000;
  return { seconds, p99: latencies.toSorted((a, b) => a - b)[Math.ceil(job.count * 0.99) - 1]!, answers: [] };
}

interface Conversation {
  /** The next request to send; undefined when all were sent. */
  readonly take: () => readonly Buffer[] | undefined;
  readonly check: (response: SmallResponse) => void;
  readonly latencies: number[];
}

function converse(socket: Socket, { take, check, latencies }: Conversation): Promise<void> {
  return new Promise((resolve, reject) => {
    let begun = 0;
    const next = (): void => {
      const message = take();
      if (message === undefined) {
        resolve();
        return;
      }
      begun = performance.now();
      socket.cork();
      for (const part of message) socket.write(part);
      socket.uncork();
    };
    const read = responseReader((response) => {
      latencies.push(performance.now() - begun);
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

function checkOf({ method, url, body, expect }: RequestsJob): (response: SmallResponse) => void {
  const sha256 = expect.sha256 === true && body !== undefined && 'file' in body ? digestOf('sha256', body.file) : undefined;
  return ({ status, body: answer }) => {
    const right =
      status === expect.status &&
      (expect.length === undefined || answer.byteLength === expect.length) &&
      (sha256 === undefined || answer.includes(sha256)) &&
      (expect.generated !== true || matches(answer, 0));
    if (right) return;
    throw new Error(`${method} ${url} was answered ${status} with ${answer.byteLength} bytes: ${answer.toString('latin1', 0, 300)}`);
  };
}

/** Returns the message to send as the request of a given number. */
function messagesOf({ url, method, headers, body }: RequestsJob): (index: number) => readonly Buffer[] {
  const { origin, host } = new URL(url);
  const target = url.slice(origin.length); // not from `URL`, which would encode the braces
  const content = contentOf(body);
  const fields = {
    host,
    ...headers,
    ...(content !== undefined && { 'content-type': content.type, 'content-length': String(content.bytes.byteLength) }),
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`;
  const whole = Buffer.concat([Buffer.from(head), content?.bytes ?? Buffer.alloc(0)]);
  if (!target.includes('{index}')) return () => [whole];
  return (index) => [Buffer.from(head.replace('{index}', String(index))), ...(content === undefined ? [] : [content.bytes])];
}

function contentOf(body: RequestsJob['body']): { readonly type: string; readonly bytes: Buffer } | undefined {
  if (body === undefined) return undefined;
  if ('json' in body) return { type: 'application/json', bytes: Buffer.from(body.json) };
  if ('raw' in body) return { type: 'application/octet-stream', bytes: Buffer.concat([...pieces(body.raw, body.raw)]) };
  return { type: formType, bytes: Buffer.concat([formStart, ...pieces(body.file, body.file), formEnd]) };
}

function opened(port: number, host: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host, noDelay: true }, () => resolve(socket));
    socket.once('error', reject);
  });
}
