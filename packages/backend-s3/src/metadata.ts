import type { CallContext } from '@coffer/storage-core';

import type { Store } from './store.ts';

type Metadata = Readonly<Record<string, string>>;

/*
 * Some servers take a "_" in the name of a metadata header for a "-", and two names may become one. There, names that have
 * one are sent with "_" and "." as hex after a ".": `my_key` as `my.5fkey`. All other names are sent as they are.
 */

/** As it is sent. Costs nothing unless a name holds a "_". */
export async function encodeMetadata(store: Store, bucket: string, metadata: Metadata, ctx: CallContext): Promise<Metadata> {
  const isOdd = Object.keys(metadata).some((name) => /_|\.5f|\.2e/.test(name));
  if (!isOdd || (await store.profile(bucket, ctx)).keepsUnderscores) return metadata;
  return renamed(metadata, (name) => (/_|\.5f|\.2e/.test(name) ? name.replaceAll('.', '.2e').replaceAll('_', '.5f') : name));
}

/** As it was given. */
export async function decodeMetadata(store: Store, bucket: string, metadata: Metadata, ctx: CallContext): Promise<Metadata> {
  const isOdd = Object.keys(metadata).some((name) => /\.5f|\.2e/.test(name));
  if (!isOdd || (await store.profileIfAllowed(bucket, ctx))?.keepsUnderscores === true) return metadata;
  return renamed(metadata, (name) => name.replaceAll('.5f', '_').replaceAll('.2e', '.'));
}

function renamed(metadata: Metadata, rename: (name: string) => string): Metadata {
  return Object.fromEntries(Object.entries(metadata).map(([name, value]) => [rename(name), value]));
}
