import type { Readable } from 'node:stream';

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  readonly hostname: string;
  readonly port: number;
  readonly path: string;
  /** Names, each followed by its value. Sent as they are. */
  readonly headers: readonly string[];
  readonly body?: Uint8Array | Readable | undefined;
}

const token = /^[!#$%&'*+.^_`|~\w-]+$/;
const forbidden = /[^\t\x20-\x7e\x80-\xff]/;

/** The head of a request, to be sent as Latin-1. @throws an error with Node's code if the path or a header is invalid */
export function requestHead({ method, path, headers }: Pick<HttpRequest, 'method' | 'path' | 'headers'>): string {
  if (/[^\x21-\xff]/.test(path)) throw invalid('ERR_UNESCAPED_CHARACTERS', 'The path holds what no path may hold.');
  let head = `${method} ${path} HTTP/1.1\r\n`;
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!;
    const value = headers[index + 1]!;
    if (!token.test(name)) throw invalid('ERR_INVALID_HTTP_TOKEN', 'A header has a name that no header may have.');
    if (forbidden.test(value)) throw invalid('ERR_INVALID_CHAR', 'A header holds what no header may hold.');
    head += `${name}: ${value}\r\n`;
  }
  return `${head}connection: keep-alive\r\n\r\n`;
}

function invalid(code: string, message: string): Error {
  return Object.assign(new TypeError(message), { code });
}
