export interface SmallResponse {
  readonly status: number;
  readonly body: Buffer;
}

interface Head {
  readonly status: number;
  /** Where the body begins. */
  readonly start: number;
  /** Where the body ends; undefined for a chunked body, which marks its own end. */
  readonly end: number | undefined;
}

const headEnd = Buffer.from('\r\n\r\n');
const lastChunk = Buffer.from('\r\n0\r\n\r\n');

/**
 * Splits the bytes of a connection into responses. Supports just enough of HTTP/1.1 for servers under test that answer one small
 * request at a time. A chunked body is passed on with its framing.
 */
export function responseReader(onResponse: (response: SmallResponse) => void): (chunk: Buffer) => void {
  let held: Buffer[] = [];
  let length = 0;
  let head: Head | undefined;
  const joined = (): Buffer => {
    if (held.length > 1) held = [Buffer.concat(held, length)];
    return held[0]!;
  };
  return (chunk) => {
    held.push(chunk);
    length += chunk.byteLength;
    head ??= headOf(joined());
    if (head === undefined || length < (head.end ?? head.start)) return;
    const end = head.end ?? endOfChunks(joined(), head.start);
    if (end === undefined) return;
    if (length > end) throw new Error('The server answered more than it was asked.');
    const response = { status: head.status, body: joined().subarray(head.start, end) };
    [held, length, head] = [[], 0, undefined];
    onResponse(response);
  };
}

function headOf(received: Buffer): Head | undefined {
  const at = received.indexOf(headEnd);
  if (at === -1) return undefined;
  const fields = received.toString('latin1', 0, at);
  const start = at + headEnd.byteLength;
  const isChunked = /\r\ntransfer-encoding: *chunked/i.test(fields);
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(fields)?.[1] ?? 0);
  return { status: Number(fields.slice(9, 12)), start, end: isChunked ? undefined : start + length };
}

function endOfChunks(received: Buffer, start: number): number | undefined {
  const last = received.indexOf(lastChunk, start - 2);
  return last === -1 ? undefined : last + lastChunk.byteLength;
}
