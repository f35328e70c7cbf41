import { hash } from 'node:crypto';

import { validationFailed } from '@coffer/storage-core/http';

/** What is being listed: bucket, prefix, delimiter. */
export type Listing = readonly [bucket: string, prefix: string, delimiter: string];

const tagLength = 11;

/**
 * The continuation token for the client: the provider's token, bound to the list. Providers differ in what they do with tokens that are
 * cut short, not theirs or belong to another list; some continue from an arbitrary place.
 */
export function bindToken(list: Listing, token: string): string {
  return tagOf(list, token) + Buffer.from(token).toString('base64url');
}

/** The provider's token. @throws validation_failed if the token belongs to another list or was altered */
export function unbindToken(list: Listing, boundToken: string): string {
  const token = Buffer.from(boundToken.slice(tagLength), 'base64url').toString();
  if (bindToken(list, token) === boundToken) return token;
  const message = 'does not belong to a listing of this bucket, prefix and delimiter; start again without a token';
  throw validationFailed([{ field: 'continuation_token', message }]);
}

function tagOf(list: Listing, token: string): string {
  return hash('sha256', JSON.stringify([...list, token]), 'base64url').slice(0, tagLength);
}
