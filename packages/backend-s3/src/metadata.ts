import { storageError } from '@coffer/storage-core';
import type { CallContext } from '@coffer/storage-core';

import { causeName, causeStatus } from './provider-error.ts';
import type { Store } from './store.ts';

export type Metadata = Readonly<Record<string, string>>;

/*
 * Some servers turn a "_" in the name of a metadata header into a "-", so that two names may become one. On those, names with a "_" (or
 * with ".5f" or ".2e") are sent with "_" and "." as hex after a ".": `my_key` as `my.5fkey`. All other names are sent as they are.
 *
 * Some servers drop metadata without a value. On those, and if the credentials may not probe, an empty value is sent as "=". Values that
 * consist only of "=" get one more on every server, so that readers need not know the server.
 */

/** Metadata as it is sent. Costs nothing unless a name contains a "_" or a value is empty or consists only of "=". */
export async function encodeMetadata(store: Store, bucket: string, metadata: Metadata, ctx: CallContext): Promise<Metadata> {
  const isOdd = Object.keys(metadata).some((name) => /_|\.5f|\.2e/.test(name));
  const values = Object.values(metadata);
  if (!isOdd && !values.some((value) => /^=*$/.test(value))) return metadata;
  const { keepsUnderscores = true } = isOdd ? await store.endpoint.profile(bucket, ctx) : {};
  const keepsEmptyValues = values.includes('') && (await store.endpoint.profileIfAllowed(bucket, ctx))?.keepsEmptyValues === true;
  return changed(metadata, {
    name: (name) => (!keepsUnderscores && /_|\.5f|\.2e/.test(name) ? name.replaceAll('.', '.2e').replaceAll('_', '.5f') : name),
    value: (value) => (/^=+$/.test(value) || (value === '' && !keepsEmptyValues) ? `${value}=` : value),
  });
}

/** Metadata as it was given. */
export async function decodeMetadata(store: Store, bucket: string, metadata: Metadata, ctx: CallContext): Promise<Metadata> {
  const isOdd = Object.keys(metadata).some((name) => /\.5f|\.2e/.test(name));
  if (!isOdd && !Object.values(metadata).some((value) => /^=+$/.test(value))) return metadata;
  const isKept = isOdd && (await store.endpoint.profileIfAllowed(bucket, ctx))?.keepsUnderscores === true;
  return changed(metadata, {
    name: (name) => (isKept ? name : name.replaceAll('.5f', '_').replaceAll('.2e', '.')),
    value: (value) => (/^=+$/.test(value) ? value.slice(1) : value),
  });
}

/** Bytes. Ceph keeps names in 100 bytes, of which it takes 20 itself. */
const longestCephName = 80;

/** Ceph answers 500 to metadata with a longer name, which no retry helps. @param sent metadata as it was sent */
export function translateNameError(error: unknown, sent: Metadata = {}): unknown {
  const isOfCeph = causeStatus(error) === 500 && causeName(error) === 'UnknownError';
  if (!isOfCeph || !Object.keys(sent).some((name) => name.length > longestCephName)) return error;
  const message = `The storage provider takes no metadata with a name this long; it may take ${longestCephName} characters, where a "_" may count as three.`;
  return storageError('invalid_argument', message, { cause: error });
}

function changed(metadata: Metadata, to: Readonly<Record<'name' | 'value', (text: string) => string>>): Metadata {
  return Object.fromEntries(Object.entries(metadata).map(([name, value]) => [to.name(name), to.value(value)]));
}
