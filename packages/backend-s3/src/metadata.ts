import type { CallContext } from '@coffer/storage-core';

import type { Store } from './store.ts';

export type Metadata = Readonly<Record<string, string>>;

/*
 * Some servers take a "_" in the name of a metadata header for a "-", and two names may become one. There, names that have
 * one are sent with "_" and "." as hex after a ".": `my_key` as `my.5fkey`. All other names are sent as they are.
 *
 * Some forget what has no value. There, it is sent as "=", and values of nothing but "=" with one more.
 */

/** As it is sent. Costs nothing unless a name holds a "_", or there is nothing in a value. */
export async function encodeMetadata(store: Store, bucket: string, metadata: Metadata, ctx: CallContext): Promise<Metadata> {
  const isOdd = Object.keys(metadata).some((name) => /_|\.5f|\.2e/.test(name));
  if (!isOdd && !Object.values(metadata).some((value) => /^=*$/.test(value))) return metadata;
  const profile = await (isOdd ? store.profile(bucket, ctx) : store.profileIfAllowed(bucket, ctx));
  if (profile === undefined) return metadata;
  const { keepsUnderscores, keepsEmptyValues } = profile;
  return changed(metadata, {
    name: (name) => (!keepsUnderscores && /_|\.5f|\.2e/.test(name) ? name.replaceAll('.', '.2e').replaceAll('_', '.5f') : name),
    value: (value) => (!keepsEmptyValues && /^=*$/.test(value) ? `${value}=` : value),
  });
}

/** As it was given. */
export async function decodeMetadata(store: Store, bucket: string, metadata: Metadata, ctx: CallContext): Promise<Metadata> {
  const isOdd = Object.entries(metadata).some(([name, value]) => /\.5f|\.2e/.test(name) || /^=+$/.test(value));
  if (!isOdd) return metadata;
  const profile = await store.profileIfAllowed(bucket, ctx);
  return changed(metadata, {
    name: (name) => (profile?.keepsUnderscores === true ? name : name.replaceAll('.5f', '_').replaceAll('.2e', '.')),
    value: (value) => (profile?.keepsEmptyValues !== true && /^=+$/.test(value) ? value.slice(1) : value),
  });
}

function changed(metadata: Metadata, to: Readonly<Record<'name' | 'value', (text: string) => string>>): Metadata {
  return Object.fromEntries(Object.entries(metadata).map(([name, value]) => [to.name(name), to.value(value)]));
}
