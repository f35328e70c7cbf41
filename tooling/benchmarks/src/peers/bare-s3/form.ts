import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

/** The file of a form whose last part it is. */
export interface FormFile {
  /** Bytes of the file; undefined when the length of the form is not announced. */
  readonly size: number | undefined;
  readonly chunks: AsyncIterable<Buffer>;
}

/** Assumes that the form is well-formed: this is the minimum cost of reading one. */
export async function fileOf(incoming: IncomingMessage): Promise<FormFile> {
  const boundary = /boundary=(.+)$/.exec(incoming.headers['content-type'] ?? '')?.[1] ?? '';
  const endLength = boundary.length + 8;
  const source = incoming[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let held: Buffer = Buffer.alloc(0);
  let start = -1;
  while (start === -1) {
    const { value, done } = await source.next();
    if (done === true) throw new Error('The form has no file.');
    held = held.byteLength === 0 ? value : Buffer.concat([held, value]);
    const name = held.indexOf('name="file"');
    start = name === -1 ? -1 : held.indexOf('\r\n\r\n', name);
  }
  const first = held.subarray(start + 4);
  const length = incoming.headers['content-length'];
  if (length === undefined) return { size: undefined, chunks: withoutEnd(first, source, endLength) };
  const size = Number(length) - start - 4 - endLength;
  return { size, chunks: firstBytes(first, source, size) };
}

export function streamOf({ chunks }: FormFile): Readable {
  return Readable.from(chunks, { objectMode: false, highWaterMark: 262_144 });
}

async function* firstBytes(first: Buffer, source: AsyncIterator<Buffer>, size: number): AsyncGenerator<Buffer> {
  let left = size;
  for (let chunk: Buffer | undefined = first; chunk !== undefined; chunk = await following(source)) {
    const bytes = chunk.byteLength > left ? chunk.subarray(0, left) : chunk;
    left -= bytes.byteLength;
    if (bytes.byteLength > 0) yield bytes;
  }
}

/** Holds back bytes that may be the end of the form until it is known whether they are. */
async function* withoutEnd(first: Buffer, source: AsyncIterator<Buffer>, endLength: number): AsyncGenerator<Buffer> {
  let held = first;
  for (let chunk = await following(source); chunk !== undefined; chunk = await following(source)) {
    if (chunk.byteLength >= endLength) {
      yield held;
      held = chunk;
      continue;
    }
    const both = Buffer.concat([held, chunk]);
    const end = Math.max(both.byteLength - endLength, 0);
    yield both.subarray(0, end);
    held = both.subarray(end);
  }
  yield held.subarray(0, held.byteLength - endLength);
}

async function following(source: AsyncIterator<Buffer>): Promise<Buffer | undefined> {
  const { value, done } = await source.next();
  return done === true ? undefined : value;
}
