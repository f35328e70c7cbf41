import type { S3Client } from '@aws-sdk/client-s3';

interface Request {
  readonly headers: Readonly<Record<string, string>>;
}

interface Args {
  readonly request: Request;
  /** Headers as they are sent, where others are signed. */
  readonly bytes?: Request['headers'];
}

/**
 * Others write headers in UTF-8, which copies carry over. In a header, each character stands for a byte, but the SDK signs characters: it gets
 * the text to sign, and the bytes to send.
 */
export function signHeaderBytes({ middlewareStack }: S3Client): void {
  const signing = { toMiddleware: 'httpSigningMiddleware' };
  const asText = changed((args) => {
    const odd = Object.entries(args.request.headers).flatMap(([name, bytes]) => {
      const text = textOf(bytes);
      return text === undefined ? [] : [{ name, text, bytes }];
    });
    if (odd.length === 0) return args;
    const texts = Object.fromEntries(odd.map(({ name, text }) => [name, text]));
    return { ...args, request: withHeaders(args.request, texts), bytes: Object.fromEntries(odd.map(({ name, bytes }) => [name, bytes])) };
  });
  const asBytes = changed((args) => (args.bytes === undefined ? args : { ...args, request: withHeaders(args.request, args.bytes) }));
  middlewareStack.addRelativeTo(asText, { ...signing, relation: 'before', name: 'headerTexts' });
  middlewareStack.addRelativeTo(asBytes, { ...signing, relation: 'after', name: 'headerBytes' });
}

type Middleware = Parameters<S3Client['middlewareStack']['addRelativeTo']>[0];

function changed(change: (args: Args) => Args): Middleware {
  return ((next: (args: Args) => unknown) => (args: Args) => next(change(args))) as unknown as Middleware;
}

/** The text of bytes that are UTF-8; undefined if it is all ASCII. */
function textOf(bytes: string): string | undefined {
  const text = Buffer.from(bytes, 'latin1').toString();
  return text !== bytes && Buffer.from(text).toString('latin1') === bytes ? text : undefined;
}

/** A copy: each attempt signs the request anew. */
function withHeaders(request: Request, headers: Request['headers']): Request {
  const copy = Object.create(Object.getPrototypeOf(request) as object) as Request;
  return Object.assign(copy, request, { headers: { ...request.headers, ...headers } });
}
