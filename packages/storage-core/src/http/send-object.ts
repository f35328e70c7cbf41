import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';

import { releaseChunk } from '../body/chunk-memory.ts';
import { takeWholeBody } from '../body/whole-body.ts';
import { evaluateConditions, resolveRange } from '../conditions.ts';
import { assertContentDisposition, contentDisposition, runsInBrowser } from '../content-disposition.ts';
import { defaultContentType, isContentType } from '../content-type.ts';
import { hasCode } from '../errors.ts';
import type { GetOptions, GetResult, ObjectInfo, ResolvedRange } from '../object.ts';
import { readConditionsOf } from './request-conditions.ts';

/** Overrides and additions to the headers of an object. */
export interface SendOptions {
  /** File name under which a browser saves the object. */
  readonly filename?: string;
  /** Instead of the disposition that follows from the type and `filename`. */
  readonly contentDisposition?: string;
  /** Instead of the object's content type. */
  readonly contentType?: string;
  /** Further response headers. */
  readonly headers?: OutgoingHttpHeaders;
}

/**
 * Headers of an object, safe for a browser: the type is not sniffed, and content that could run is downloaded. A sandbox keeps such content
 * from acting with the origin's rights if a browser opens it anyway.
 * @throws invalid_argument for a `contentDisposition` that no header can hold
 */
export function objectHeaders(info: ObjectInfo, options: SendOptions = {}): OutgoingHttpHeaders {
  const requestedType = options.contentType ?? info.contentType;
  const contentType = isContentType(requestedType) ? requestedType : defaultContentType; // a provider may store what no header can hold
  const disposition = dispositionOf(contentType, options);
  return {
    ...options.headers,
    'content-type': contentType,
    ...(info.contentEncoding !== undefined && { 'content-encoding': info.contentEncoding }),
    'content-length': info.size,
    'accept-ranges': 'bytes',
    etag: `"${info.etag}"`,
    'last-modified': info.lastModified.toUTCString(),
    'x-content-type-options': 'nosniff',
    ...(runsInBrowser(contentType) && { 'content-security-policy': "default-src 'none'; sandbox" }),
    ...(disposition !== undefined && { 'content-disposition': disposition }),
  };
}

function dispositionOf(contentType: string, { contentDisposition: requested, filename }: SendOptions): string | undefined {
  const mustDownload = runsInBrowser(contentType);
  if (requested !== undefined) {
    assertContentDisposition(requested);
    if (!mustDownload || /^attachment[\t ]*(?:;|$)/i.test(requested)) return requested;
    if (filename === undefined) return requested.replace(/^[^;]*/, 'attachment');
  }
  if (mustDownload) return contentDisposition('attachment', filename);
  return filename !== undefined ? contentDisposition('inline', filename) : undefined;
}

/**
 * Headers that a client's cached copy may lack: the file name may have changed. When the type is not known here, no disposition is sent:
 * the copy has one.
 */
function unchangedHeaders(
  { etag, lastModified }: { readonly etag: string; readonly lastModified?: Date | undefined },
  options: SendOptions,
): OutgoingHttpHeaders {
  const { contentType = '' } = options;
  const disposition = isContentType(contentType) ? dispositionOf(contentType, options) : undefined;
  return {
    ...options.headers,
    ...(disposition !== undefined && { 'content-disposition': disposition }),
    etag: `"${etag}"`,
    ...(lastModified !== undefined && { 'last-modified': lastModified.toUTCString() }),
  };
}

/**
 * Answers a GET for one object: range, conditions, headers, and the body with backpressure. A client that leaves ends the read. Nobody else
 * may read the body. Errors before the first byte are thrown with nothing sent; later ones cut the connection, since a response that has
 * begun cannot be taken back.
 */
export async function sendObject(
  request: IncomingMessage,
  response: ServerResponse,
  open: (options: GetOptions) => Promise<GetResult>,
  options: SendOptions = {},
): Promise<void> {
  const result = await openConditionally(request, open);
  if (result.kind === 'not_modified') {
    response.writeHead(304, unchangedHeaders(result, options));
    response.end();
    return;
  }
  const { info, range, body, ownsChunks } = result;
  if (response.destroyed || response.writableEnded) {
    body.destroy(); // the client left while the object was being opened
    return;
  }
  try {
    writeHead(response, info, range, options);
  } catch (error) {
    body.destroy(); // a header was refused: nothing was sent, and nobody reads
    throw error;
  }
  const size = range === undefined ? info.size : sizeOf(range);
  await pipeBody({ body, size, ownsChunks: ownsChunks === true }, response);
}

/**
 * Passes the body on until the response is over. If the provider fails after the first byte, or the body is destroyed or differs from the
 * announced length, the connection is cut, so that the client knows it is incomplete. `pipeline` does this for any two streams, but costs
 * as much as everything else about a small response.
 */
function pipeBody(
  { body, size, ownsChunks }: { readonly body: Readable; readonly size: number; readonly ownsChunks: boolean },
  response: ServerResponse,
): Promise<void> {
  // Runs once the system has the whole chunk, or it is no longer wanted.
  const onWritten = (chunk: Buffer) => (ownsChunks ? (): void => releaseChunk(chunk) : undefined);
  const whole = takeWholeBody(body);
  if (whole !== undefined) return sendWhole(whole, size, response, onWritten(whole));
  const abort = (): void => {
    if (!body.readableEnded) response.destroy();
  };
  let remaining = size;
  const onData = (chunk: Buffer): void => {
    // Bytes beyond the announced length would pass for the next response.
    if ((remaining -= chunk.length) < 0) response.destroy();
    else if (!response.write(chunk, onWritten(chunk))) body.pause();
  };
  return new Promise((resolve) => {
    body.on('error', abort);
    body.on('close', abort);
    response.on('error', () => {}); // `close` follows
    response.on('close', () => {
      body.destroy(); // the client may have left: nobody reads the rest
      resolve();
    });
    if (body.destroyed) return abort();
    if (size > 0 && body.readableLength === size) {
      const all = body.read() as Buffer;
      response.end(all, onWritten(all));
      return;
    }
    body.on('end', () => (remaining === 0 ? response.end() : response.destroy()));
    response.on('drain', () => body.resume());
    body.on('data', onData);
  });
}

function sendWhole(bytes: Buffer, size: number, response: ServerResponse, onWritten: (() => void) | undefined): Promise<void> {
  return new Promise((resolve) => {
    response.on('error', () => {}); // `close` follows
    response.on('close', resolve);
    if (bytes.length === size) response.end(bytes, onWritten);
    else response.destroy();
  });
}

/** Answers a HEAD for one object as a GET would, including ranges, as S3's HeadObject does. @throws as a GET would */
export function sendObjectHead(request: IncomingMessage, response: ServerResponse, info: ObjectInfo, options: SendOptions = {}): void {
  const { range, ...conditions } = readConditionsOf(request.headers);
  if (evaluateConditions(info, conditions) === 'not_modified') {
    response.writeHead(304, unchangedHeaders(info, options));
  } else {
    const isPartial = range !== undefined && ifRangeHolds(request, conditions, info);
    writeHead(response, info, isPartial ? resolveRange(range, info.size) : undefined, options);
  }
  response.end();
}

function writeHead(response: ServerResponse, info: ObjectInfo, range: ResolvedRange | undefined, options: SendOptions): void {
  const headers = objectHeaders(info, options);
  if (range !== undefined) {
    headers['content-length'] = sizeOf(range);
    headers['content-range'] = `bytes ${range.start}-${range.end}/${info.size}`;
  }
  response.writeHead(range === undefined ? 200 : 206, headers);
}

function sizeOf({ start, end }: ResolvedRange): number {
  return end - start + 1;
}

/** Whether If-Range, if present, allows the range. */
function ifRangeHolds({ headers }: IncomingMessage, conditions: GetOptions, info: ObjectInfo): boolean {
  const { 'if-range': ifRange } = headers;
  if (typeof ifRange !== 'string') return true;
  if (conditions.ifMatch !== undefined || conditions.ifUnmodifiedSince !== undefined) return false; // see openConditionally
  return ifRange === `"${info.etag}"` || ifRange === info.lastModified.toUTCString();
}

/**
 * Opens what a GET asks for. With If-Range, the range applies only to the object it names, by a strong ETag or its exact date; for any
 * other, the response is the whole object (RFC 9110, section 13.1.5).
 */
async function openConditionally(request: IncomingMessage, open: (options: GetOptions) => Promise<GetResult>): Promise<GetResult> {
  const conditions = readConditionsOf(request.headers);
  const ifRange = request.headers['if-range'];
  if (typeof ifRange !== 'string' || conditions.range === undefined) return open(conditions);
  const { range, ...withoutRange } = conditions;
  const etag = /^"([^"]*)"$/.exec(ifRange)?.[1];
  const date = readConditionsOf({ 'if-modified-since': ifRange }).ifModifiedSince;
  // Next to If-Match or If-Unmodified-Since, whose place the guards below take, the whole object is a correct response too.
  if ((etag === undefined && date === undefined) || conditions.ifMatch !== undefined || conditions.ifUnmodifiedSince !== undefined)
    return open(withoutRange);
  try {
    const result = await open({ ...withoutRange, range, ...(etag !== undefined ? { ifMatch: [etag] } : { ifUnmodifiedSince: date! }) });
    if (result.kind !== 'object' || etag !== undefined || ifRange === result.info.lastModified.toUTCString()) return result;
    result.body.destroy();
  } catch (error) {
    if (!hasCode(error, 'precondition_failed')) throw error;
  }
  return open(withoutRange);
}
