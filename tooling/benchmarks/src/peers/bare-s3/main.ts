// The ceiling: `node:http`, plain signed requests, hand-written SQL. It checks no token, no form and no length.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';

import { announce } from '../announce.ts';
import { peerFiles, s3PeerOptions } from '../s3-peer.ts';
import { fileOf, streamOf } from './form.ts';
import { Objects } from './objects.ts';

const options = s3PeerOptions();
const objects = new Objects(options);
const files = await peerFiles(options.databaseUrl);
const owner = 'somebody';
const contentType = 'application/octet-stream';
// A body of up to this many bytes is collected and sent as one buffer.
const smallBytes = 2 * 2 ** 20;

async function gathered(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all.length === 1 ? all[0]! : Buffer.concat(all);
}

async function upload(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const id = randomUUID();
  const file = await fileOf(incoming);
  const row = (size: number) => files.insert({ id, owner, filename: 'bytes.bin', contentType, size, status: 'available' });
  let { size } = file;
  if (size === undefined) {
    size = await objects.putParts(id, file.chunks);
    await row(size);
  } else {
    const body = size <= smallBytes ? await gathered(file.chunks) : streamOf(file);
    await Promise.all([objects.put(id, body, size), row(size)]);
  }
  answer(response, 201, { id, filename: 'bytes.bin', content_type: contentType, size_bytes: size });
}

async function putObject(incoming: IncomingMessage, response: ServerResponse, key: string): Promise<void> {
  const size = Number(incoming.headers['content-length']);
  const body = size <= smallBytes ? await gathered(incoming) : incoming;
  const [etag] = await Promise.all([
    objects.put(key, body, size),
    files.insert({ id: randomUUID(), owner, filename: key, contentType, size, status: 'available' }),
  ]);
  answer(response, 201, { key, etag, size_bytes: size });
}

async function download(response: ServerResponse, id: string): Promise<void> {
  const file = await files.find(id, owner);
  const object = await objects.get(id);
  response.writeHead(200, { 'content-type': file?.content_type, 'content-length': object.headers['content-length'] });
  object.pipe(response);
}

async function presignedUpload(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const { filename, content_type: type, size_bytes: size } = JSON.parse((await gathered(incoming)).toString()) as Ask;
  const id = randomUUID();
  await files.insert({ id, owner, filename, contentType: type, size, status: 'pending' });
  const url = objects.presignPut(id, type, size);
  answer(response, 201, { file_id: id, method: 'PUT', upload_url: url, upload_fields: {}, upload_headers: { 'content-type': type } });
}

interface Ask {
  readonly filename: string;
  readonly content_type: string;
  readonly size_bytes: number;
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }).end(text);
}

async function route(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const [, first = '', second = ''] = (incoming.url ?? '').split(/[/?]/);
  if (first === 'upload') return upload(incoming, response);
  if (first === 'objects') return putObject(incoming, response, second);
  if (first === 'presigned-upload') return presignedUpload(incoming, response);
  if (incoming.url?.endsWith('/download') === true) return download(response, second);
  return answer(response, 200, { files: await files.newest(owner, 100), next_cursor: null });
}

const server = createServer({ requestTimeout: 0, noDelay: true, highWaterMark: 262_144 }, (incoming, response) => {
  route(incoming, response).catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    response.destroy();
  });
});
server.listen(0, '127.0.0.1', () => announce(server));
