import { Agent, request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';

import { Signer } from './signer.ts';
import type { S3PeerOptions } from '../s3-peer.ts';

const partBytes = 8 * 2 ** 20;
const partsAtOnce = 4;

/** Objects over plain signed requests. */
export class Objects {
  readonly #options: S3PeerOptions;
  readonly #agent: Agent;
  readonly #signer: Signer;
  readonly #port: string;
  readonly #hostname: string;

  constructor(options: S3PeerOptions) {
    const { host, hostname, port } = new URL(options.endpoint);
    this.#options = options;
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.sockets, scheduling: 'lifo' });
    this.#signer = new Signer(host, options.accessKey, options.secretKey);
    this.#hostname = hostname;
    this.#port = port;
  }

  async put(key: string, body: Buffer | Readable, size: number): Promise<string | undefined> {
    const response = await this.#send('PUT', key, '', { body, size });
    await drained(response);
    return response.headers.etag?.replaceAll('"', '');
  }

  get(key: string): Promise<IncomingMessage> {
    return this.#send('GET', key, '');
  }

  presignPut(key: string, type: string, length: number): string {
    const path = this.#path(key);
    return `${this.#options.endpoint}${path}?${this.#signer.presignPut(path, { type, length, expiresIn: 3600 })}`;
  }

  /** Uploads a body of unknown length part by part, through a few buffers that are reused. */
  async putParts(key: string, chunks: AsyncIterable<Buffer>): Promise<number> {
    const begun = await drained(await this.#send('POST', key, 'uploads='));
    const id = /<UploadId>(.+?)<\/UploadId>/.exec(begun)?.[1] ?? '';
    const etags: string[] = [];
    const free: Buffer[] = [];
    const sending = new Set<Promise<void>>();
    const send = (buffer: Buffer, filled: number): void => {
      const number = etags.push('');
      const part = this.#send('PUT', key, `partNumber=${number}&uploadId=${id}`, { body: buffer.subarray(0, filled), size: filled })
        .then(async (response) => {
          await drained(response);
          etags[number - 1] = response.headers.etag ?? '';
          free.push(buffer);
        })
        .finally(() => sending.delete(part));
      sending.add(part);
    };
    let buffer: Buffer = Buffer.allocUnsafeSlow(partBytes);
    let [filled, size] = [0, 0];
    for await (const chunk of chunks) {
      size += chunk.byteLength;
      for (let at = 0; at < chunk.byteLength;) {
        if (filled === partBytes) {
          send(buffer, filled);
          if (sending.size === partsAtOnce) await Promise.race(sending);
          buffer = free.pop() ?? Buffer.allocUnsafeSlow(partBytes);
          filled = 0;
        }
        const copied = chunk.copy(buffer, filled, at);
        at += copied;
        filled += copied;
      }
    }
    send(buffer, filled);
    await Promise.all(sending);
    const parts = etags.map((etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${etag}</ETag></Part>`);
    const list = Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`);
    await drained(await this.#send('POST', key, `uploadId=${id}`, { body: list, size: list.byteLength }));
    return size;
  }

  #path(key: string): string {
    return `/${this.#options.bucket}/${key}`;
  }

  #send(
    method: string,
    key: string,
    query: string,
    content?: { readonly body: Buffer | Readable; readonly size: number },
  ): Promise<IncomingMessage> {
    const path = this.#path(key);
    return new Promise((resolve, reject) => {
      const outgoing = request({
        agent: this.#agent,
        host: this.#hostname,
        port: this.#port,
        method,
        path: query === '' ? path : `${path}?${query}`,
        headers: { ...this.#signer.headers(method, path, query), 'content-length': content?.size ?? 0 },
      });
      outgoing.once('error', reject);
      outgoing.once('response', (response: IncomingMessage) => {
        if (response.statusCode === 200) resolve(response);
        else drained(response).then((text) => reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`)), reject);
      });
      if (content === undefined || Buffer.isBuffer(content.body)) outgoing.end(content?.body);
      else content.body.pipe(outgoing);
    });
  }
}

async function drained(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
