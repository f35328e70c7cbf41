import { ForeignAnswerError } from './http/foreign-answer.ts';
import type { EndpointProfile } from './profile.ts';

export function bare(etag: string | undefined): string {
  return (etag ?? '').replace(/^(?:W\/)?"?|"$/g, '');
}

/**
 * Whether a server may have given something this ETag, bare: what it never does matches nothing, and may be no header, or, as `*`, one that
 * servers take for "any object".
 */
export function isEtag(text: string): boolean {
  return text !== '*' && /^[!#-~]+$/.test(text);
}

export function quoted(etag: string): string {
  return `"${etag}"`;
}

/** As a server wants it in the If-Match of a PutObject; undefined where it enforces none. */
export function putMatchFor({ putMatch }: Pick<EndpointProfile, 'putMatch'>, etag: string): string | undefined {
  if (putMatch === false) return undefined;
  return putMatch === 'bare' ? etag : quoted(etag);
}

/** What every server of S3 tells of bytes that it has stored, bare. @throws {ForeignAnswerError} */
export function etagOf(etag: string | undefined): string {
  const told = bare(etag);
  if (told === '') throw new ForeignAnswerError('The answer has no ETag.');
  return told;
}
