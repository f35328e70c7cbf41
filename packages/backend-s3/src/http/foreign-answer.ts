/** What answers at the endpoint is no S3 server, but something in front of it, such as a captive portal or the page of a proxy. */
export class ForeignAnswerError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NoS3AnswerError';
  }
}

// Statuses about conditions, ranges, sizes, methods and too many requests.
const proxied: ReadonlySet<number> = new Set([304, 405, 408, 411, 412, 413, 414, 416, 429, 431]);

/** Whether a proxy may answer with this status on behalf of the server, with a body of its own. */
export function mayBeProxied(status: number): boolean {
  return status >= 500 || proxied.has(status);
}

const isResult = /^\s*(?:<\?xml\b[^>]*\?>\s*)?<[A-Z][A-Za-z]*Result[\s/>]/;

type Headers = Readonly<Record<string, unknown>>;

// S3 redirects to the region of a bucket with 301 and 307. These are meant for people.
const nonS3Redirects: ReadonlySet<number> = new Set([302, 303, 308]);

/** Whether S3 never answers with this status. Below 200, 101 switches to another protocol, which nobody requests. */
export function isNonS3Status(status: number): boolean {
  return nonS3Redirects.has(status) || status < 200;
}

/**
 * Whether a HEAD was refused by something in front of S3, for example redirected to https://, or told that the port accepts only TLS. Such
 * an answer has no document to recognize it by, but S3 would give it a request id.
 */
export function isForeignHead(status: number, headers: Headers): boolean {
  if (Object.keys(headers).some((name) => name.startsWith('x-amz-'))) return false;
  if (status === 301 || status === 307) return headers['location'] !== undefined;
  return status === 400 && /^text\/html\b/i.test(String(headers['content-type']));
}

/**
 * S3 answers with XML or nothing, except for reads of an object, which may itself be a page. An empty answer may be labelled HTML, and so
 * may a result (Swift): some servers use that type for want of another.
 * @param ofObject whether this is the success of such a read
 * @param document the body, if it has been read
 * @throws {ForeignAnswerError}
 */
export function assertNoPage(status: number, headers: Headers, ofObject: boolean, document = ''): void {
  const type = String(headers['content-type']);
  // S3 sends the last-modified date and the ETag of each object; an error that came too late for its status has neither.
  if (ofObject && headers['etag'] === undefined && headers['last-modified'] === undefined)
    throw new ForeignAnswerError(`The answer, ${status}, is no object.`);
  if (!/^text\/html\b/i.test(type)) return;
  const isEmpty = status === 204 || headers['content-length'] === '0';
  const isOfS3 = ofObject && Object.keys(headers).some((name) => name === 'etag' || name.startsWith('x-amz-'));
  if (!isEmpty && !isOfS3 && !isResult.test(document)) throw new ForeignAnswerError(`The answer, ${status}, is a page.`);
}

/** Bytes; more than a thousand of the longest keys. */
const longestDocument = 16 * 2 ** 20;

/**
 * @param size bytes of a document received so far
 * @throws {ForeignAnswerError} if that is more than any document of S3 has
 */
export function assertDocumentSize(size: number): void {
  if (size > longestDocument) throw new ForeignAnswerError('The answer is longer than any document of S3.');
}
