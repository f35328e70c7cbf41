import type { CallContext } from '@coffer/storage-core';

import type { CorsRule, ExistingCorsRule } from './administration.ts';
import { causeName } from './provider-error.ts';
import type { Store } from './store.ts';

const browserRule: Omit<CorsRule, 'origins'> & { readonly id: string } = {
  id: 'coffer-browsers',
  methods: ['GET', 'HEAD', 'PUT', 'POST'],
  headers: ['*'],
  // PDF.js requests ranges only if it sees Accept-Ranges, and uploaders look for the Location of what a form stored.
  exposed: ['ETag', 'Content-Length', 'Content-Range', 'Content-Disposition', 'Accept-Ranges', 'Location'],
  maxAge: 3600,
};

/** The rule that browsers with these origins need to upload and download. */
export function corsFor(origins: readonly string[]): CorsRule {
  return { origins, ...browserRule };
}

/**
 * Leaves other people's rules as they are, and adds nothing if they already allow everything needed. What somebody has added to ours, other
 * than origins, stays.
 */
export async function allowBrowsers(store: Store, bucket: string, origins: readonly string[], ctx: CallContext): Promise<void> {
  const existing = await getCors(store, bucket, ctx);
  const ours = existing.filter(isOurs);
  const others = existing.filter((rule) => !isOurs(rule));
  const isSet =
    ours.length > 0
      ? ours.every((rule) => isSame(rule.origins, origins) && exposesAll(rule))
      : origins.every((origin) => isAllowed(origin, others));
  if (isSet) return;
  const rule = corsFor(origins);
  const methods = both(
    rule.methods,
    ours.flatMap((held) => held.methods),
  );
  const exposed = both(
    rule.exposed,
    ours.flatMap((held) => held.exposed),
  );
  await store.administration.putCors(bucket, [...others, { ...rule, methods, exposed }], ctx);
}

export async function getCors(store: Store, bucket: string, ctx: CallContext): Promise<readonly ExistingCorsRule[]> {
  try {
    return await store.administration.getCors(bucket, ctx);
  } catch (error) {
    if (causeName(error) === 'NoSuchCORSConfiguration') return [];
    throw error;
  }
}

const isOurs = ({ id }: ExistingCorsRule): boolean => id === browserRule.id;

/** Compares in any order, since some servers change it. */
function isSame(some: readonly string[], others: readonly string[]): boolean {
  const sorted = (names: readonly string[]): string => JSON.stringify([...new Set(names)].toSorted());
  return sorted(some) === sorted(others);
}

/** Names of either list, which differ in more than their case. */
function both(some: readonly string[], more: readonly string[]): readonly string[] {
  const all = new Map([...more, ...some].map((name) => [name.toLowerCase(), name]));
  return [...all.values()];
}

function exposesAll({ exposed }: ExistingCorsRule): boolean {
  const names = new Set(exposed.map((name) => name.toLowerCase()));
  return browserRule.exposed.every((name) => names.has(name.toLowerCase()));
}

function isAllowed(origin: string, rules: readonly ExistingCorsRule[]): boolean {
  const all = rules.filter(({ headers, origins }) => headers.includes('*') && origins.some((pattern) => matches(origin, pattern)));
  return browserRule.methods.every((method) => all.some(({ methods }) => methods.includes(method)));
}

/** A pattern contains at most one "*". */
function matches(origin: string, pattern: string): boolean {
  const [before = '', after] = pattern.split('*');
  return origin === pattern || (after !== undefined && origin.startsWith(before) && origin.endsWith(after));
}
