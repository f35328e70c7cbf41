export interface SmallResponse {
  readonly status: number;
  readonly body: Buffer;
}

const headEnd = Buffer.from('\r\n\r\n');
const lastChunk = Buffer.from('\r\n0\r\n\r\n');

/**
 * Cuts what a connection receives into responses: just enough of HTTP/1.1 for servers under test that answer one small
 * request at a time. A chunked body is handed on with its framing.
 */
export function responseReader(onResponse: (response: SmallResponse) => void): (chunk: Buffer) => void {
  let held: Buffer = Buffer.alloc(0);
  return (chunk) => {
    held = held.byteLength === 0 ? chunk : Buffer.concat([held, chunk]);
    const head = held.indexOf(headEnd);
    if (head === -1) return;
    const start = head + headEnd.byteLength;
    const end = bodyEnd(held, head, start);
    if (end === undefined || held.byteLength < end) return;
    const response = { status: Number(held.toString('latin1', 9, 12)), body: held.subarray(start, end) };
    held = held.subarray(end);
    onResponse(response);
  };
}

function bodyEnd(held: Buffer, head: number, start: number): number | undefined {
  const fields = held.toString('latin1', 0, head);
  const length = /\r\ncontent-length: *(\d+)/i.exec(fields)?.[1];
  if (length !== undefined) return start + Number(length);
  if (!/\r\ntransfer-encoding: *chunked/i.test(fields)) return start;
  const last = held.indexOf(lastChunk, start - 2);
  return last === -1 ? undefined : last + lastChunk.byteLength;
}
