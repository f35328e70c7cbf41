import { Agent, request } from 'node:http';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  /** The body as text. */
  readonly text: string;
  /** The body as JSON; undefined if it is not JSON. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into it freely
  readonly json: any;
}

export interface SendOptions {
  readonly headers?: OutgoingHttpHeaders;
  readonly json?: unknown;
  readonly body?: string | Uint8Array | Readable;
  readonly form?: FormData;
}

const agent = new Agent({ keepAlive: true });

/** Sends a request with exactly this target, which fetch would normalize and re-encode. */
export async function send(base: string, method: string, path: string, options: SendOptions = {}): Promise<Answer> {
  const { hostname, port } = new URL(base);
  const { headers, body } = await bodyOf(options);
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, method, path, headers, agent }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const bytes = Buffer.concat(chunks);
        const text = bytes.toString('utf8');
        resolve({ status: response.statusCode ?? 0, headers: response.headers, bytes, text, json: parsed(text) });
      });
    });
    sent.on('error', reject);
    if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) sent.end(body);
    else pipeline(body, sent).catch(reject);
  });
}

async function bodyOf({
  headers = {},
  json,
  body,
  form,
}: SendOptions): Promise<{ headers: OutgoingHttpHeaders; body: SendOptions['body'] }> {
  if (json !== undefined) return withLength({ 'content-type': 'application/json', ...headers }, Buffer.from(JSON.stringify(json)));
  if (form !== undefined) {
    const encoded = new Response(form);
    return withLength({ 'content-type': encoded.headers.get('content-type') ?? '', ...headers }, Buffer.from(await encoded.arrayBuffer()));
  }
  if (typeof body === 'string' || body instanceof Uint8Array) return withLength(headers, Buffer.from(body));
  return { headers, body };
}

function withLength(headers: OutgoingHttpHeaders, body: Buffer): { headers: OutgoingHttpHeaders; body: Buffer } {
  return { headers: { 'content-length': body.length, ...headers }, body };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
