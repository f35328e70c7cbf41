import { ForeignAnswerError } from './http/foreign-answer.ts';
import type { EndpointProfile } from './profile.ts';

export function unquoted(etag: string | undefined): string {
  return (etag ?? '').replace(/^(?:W\/)?"?|"$/g, '');
}

/**
 * Whether a server may have issued this ETag (without quotes). One that servers never issue matches nothing, and may be unfit for a header
 * or, like `*`, be taken for "any object".
 */
export function isEtag(text: string): boolean {
  return text !== '*' && /^[!#-~]+$/.test(text);
}

export function quoted(etag: string): string {
  return `"${etag}"`;
}

/** The ETag in the form that the server expects in the If-Match of a PutObject; undefined if it enforces none. */
export function putMatchFor({ putMatch }: Pick<EndpointProfile, 'putMatch'>, etag: string): string | undefined {
  if (putMatch === false) return undefined;
  return putMatch === 'bare' ? etag : quoted(etag);
}

/** The ETag, without quotes, that every S3 server reports for stored bytes. @throws {ForeignAnswerError} if there is none */
export function etagOf(etag: string | undefined): string {
  const value = unquoted(etag);
  if (value === '') throw new ForeignAnswerError('The answer has no ETag.');
  return value;
}
