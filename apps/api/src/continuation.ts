import { hash } from 'node:crypto';

import { validationFailed } from '@coffer/storage-core/http';

/** What a list is of: bucket, prefix, delimiter. */
export type Listing = readonly [bucket: string, prefix: string, delimiter: string];

const tagLength = 11;

/**
 * Where a list goes on, for a client: the provider's token, bound to the list. Servers differ about what they make of tokens that are not
 * theirs, or another list's; some go on somewhere.
 */
export function tokenFor(list: Listing, token: string): string {
  return tagOf(list) + Buffer.from(token).toString('base64url');
}

/** The provider's token. @throws validation_failed for one of another list, or of none */
export function tokenIn(list: Listing, given: string): string {
  const token = Buffer.from(given.slice(tagLength), 'base64url').toString();
  if (token !== '' && !token.includes('\0') && tokenFor(list, token) === given) return token;
  const message = 'does not belong to a listing of this bucket, prefix and delimiter; start again without a token';
  throw validationFailed([{ field: 'continuation_token', message }]);
}

function tagOf(list: Listing): string {
  return hash('sha256', JSON.stringify(list), 'base64url').slice(0, tagLength);
}
