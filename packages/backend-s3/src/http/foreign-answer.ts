/** What answers at the endpoint is no S3 server, or something before it: the portal of a network, the page of a proxy. */
export class ForeignAnswerError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NoS3AnswerError';
  }
}

// Of conditions, ranges, sizes, methods and too many requests.
const proxied: ReadonlySet<number> = new Set([304, 405, 408, 411, 412, 413, 414, 416, 429, 431]);

/** Whether a proxy may say so for the server, in words of its own. */
export function mayBeProxied(status: number): boolean {
  return status >= 500 || proxied.has(status);
}

const isResult = /^\s*(?:<\?xml\b[^>]*\?>\s*)?<[A-Z][A-Za-z]*Result[\s/>]/;

type Headers = Readonly<Record<string, unknown>>;

// S3 sends to where a bucket lies by 301 and 307; these are for people.
const elsewhere: ReadonlySet<number> = new Set([302, 303, 308]);

/** Whether S3 never answers so. Of what is below 200, 101 leads to another protocol, for which nobody asks. */
export function isElsewhere(status: number): boolean {
  return elsewhere.has(status) || status < 200;
}

/**
 * Whether a HEAD, whose answer has no document to tell by, was refused by something before S3: sent to https://, say, or told that this
 * port takes nothing but TLS. S3 gives such answers an id.
 */
export function isForeignHead(status: number, headers: Headers): boolean {
  if (Object.keys(headers).some((name) => name.startsWith('x-amz-'))) return false;
  if (status === 301 || status === 307) return headers['location'] !== undefined;
  return status === 400 && /^text\/html\b/i.test(String(headers['content-type']));
}

/**
 * S3 answers with XML or nothing, apart from reads of an object, which may be a page itself. An empty answer may be called one, and
 * a result (Swift): some servers name that type for want of another.
 * @param ofObject whether it is a success of such a read
 * @param document what came, where that has been read
 * @throws {ForeignAnswerError}
 */
export function assertNoPage(status: number, headers: Headers, ofObject: boolean, document = ''): void {
  const type = String(headers['content-type']);
  // S3 tells of each object when it was written, and its ETag; an error that came too late for its status has neither.
  if (ofObject && headers['etag'] === undefined && headers['last-modified'] === undefined)
    throw new ForeignAnswerError(`The answer, ${status}, is no object.`);
  if (!/^text\/html\b/i.test(type)) return;
  const isEmpty = status === 204 || headers['content-length'] === '0';
  const isOfS3 = ofObject && Object.keys(headers).some((name) => name === 'etag' || name.startsWith('x-amz-'));
  if (!isEmpty && !isOfS3 && !isResult.test(document)) throw new ForeignAnswerError(`The answer, ${status}, is a page.`);
}

/** More than a thousand of the longest keys. */
const longestDocument = 16 * 2 ** 20;

/**
 * @param size bytes of a document that have come
 * @throws {ForeignAnswerError} for more than any of S3 has
 */
export function assertDocumentSize(size: number): void {
  if (size > longestDocument) throw new ForeignAnswerError('The answer is longer than any document of S3.');
}
