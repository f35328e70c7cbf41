import type { CallContext } from '@coffer/storage-core';

import type { CorsRule, HeldCorsRule } from './administration.ts';
import { causeName } from './provider-error.ts';
import type { Store } from './store.ts';

const uploads: Omit<CorsRule, 'origins'> & { readonly id: string } = {
  id: 'coffer-browsers',
  methods: ['GET', 'HEAD', 'PUT', 'POST'],
  headers: ['*'],
  // PDF.js requests ranges only if it sees Accept-Ranges, and uploaders look for the Location of what a form stored.
  exposed: ['ETag', 'Content-Length', 'Content-Range', 'Content-Disposition', 'Accept-Ranges', 'Location'],
  maxAge: 3600,
};

/** The rule that browsers with these origins need to upload and download. */
export function corsFor(origins: readonly string[]): CorsRule {
  return { origins, ...uploads };
}

/** Leaves other people's rules as they are, and adds nothing if they already allow everything needed. */
export async function allowBrowsers(store: Store, bucket: string, origins: readonly string[], ctx: CallContext): Promise<void> {
  const held = await getCors(store, bucket, ctx);
  const ours = held.filter(isOurs);
  const others = held.filter((rule) => !isOurs(rule));
  const isSet =
    ours.length > 0
      ? ours.every((rule) => isSame(rule.origins, origins) && exposesAll(rule))
      : origins.every((origin) => isAllowed(origin, others));
  if (!isSet) await store.administration.putCors(bucket, [...others, corsFor(origins)], ctx);
}

async function getCors(store: Store, bucket: string, ctx: CallContext): Promise<readonly HeldCorsRule[]> {
  try {
    return await store.administration.getCors(bucket, ctx);
  } catch (error) {
    if (causeName(error) === 'NoSuchCORSConfiguration') return [];
    throw error;
  }
}

const isOurs = ({ id }: HeldCorsRule): boolean => id === uploads.id;

/** Compares in any order, since some servers change it. */
function isSame(some: readonly string[], others: readonly string[]): boolean {
  const sorted = (names: readonly string[]): string => JSON.stringify([...new Set(names)].toSorted());
  return sorted(some) === sorted(others);
}

function exposesAll({ exposed }: HeldCorsRule): boolean {
  const names = new Set(exposed.map((name) => name.toLowerCase()));
  return uploads.exposed.every((name) => names.has(name.toLowerCase()));
}

function isAllowed(origin: string, rules: readonly HeldCorsRule[]): boolean {
  const all = rules.filter(({ headers, origins }) => headers.includes('*') && origins.some((pattern) => matches(origin, pattern)));
  return uploads.methods.every((method) => all.some(({ methods }) => methods.includes(method)));
}

/** A pattern contains at most one "*". */
function matches(origin: string, pattern: string): boolean {
  const [before = '', after] = pattern.split('*');
  return origin === pattern || (after !== undefined && origin.startsWith(before) && origin.endsWith(after));
}
