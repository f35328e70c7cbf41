import { hash } from 'node:crypto';

import { bucketNameProblem, canonicalTenantUuid, isRealUuid, storageError } from '@coffer/storage-core';
import type { TenantContext } from '@coffer/storage-core';

import { tenantSlugProblem, tenantUuidProblem } from './tenant.ts';

/*
 * Two tenants never share a bucket, because every name has one of two forms, and no name has both:
 * - clean: the values unchanged. They can be read back from the name, so other values give another name.
 * - hashed: used when S3 cannot hold the values, or the name is reserved or would look hashed. What is legible of the values, then `-` and
 *   64 bits of SHA-256 over the originals, too many for somebody who picks a slug to land in another tenant's bucket.
 * The mapping uses ASCII only: with Unicode's tables, names would change with the version of Node.
 */

/** `literals` has one more entry than `fields`: literal, field, literal, field, ..., literal. */
interface Pattern {
  readonly literals: readonly string[];
  readonly fields: readonly string[];
}

const maxNameLength = 63;
const hashDigits = 16;
const hashEnding = new RegExp(`-[0-9a-f]{${hashDigits}}$`);
/** Buckets in which the S3 backend tries a server out: sweeps delete those that are left, with all that they hold. */
const sandboxName = /^coffer-probe-[0-9a-f]{16}$/;
const allowedPlaceholders = 'allowed are {tenant_slug} and {tenant_uuid}';

/** Why `pattern` cannot make bucket names, in a sentence that says what is allowed, or undefined if it can. */
export function patternProblem(pattern: string): string | undefined {
  const { literals, fields } = parse(pattern);
  const unknown = fields.find((field) => field !== 'tenant_slug' && field !== 'tenant_uuid');
  if (unknown !== undefined) return `The placeholder {${unknown}} is unknown: ${allowedPlaceholders}.`;
  if (fields.length === 0)
    return `A bucket naming pattern must have a placeholder, or all tenants would share one bucket: ${allowedPlaceholders}.`;
  if (literals.some((literal) => /[^a-z0-9-]/.test(literal))) {
    return `A bucket naming pattern must contain only lower-case letters, digits, "-" and placeholders: ${allowedPlaceholders}.`;
  }
  if (roomIn({ literals, fields }) < fields.length) {
    const maxCharacters = maxNameLength - hashDigits - 1 - fields.length;
    return `A bucket naming pattern must have at most ${maxCharacters} characters besides its placeholders, to leave room for the tenant.`;
  }
  const shortest = fields.map(() => 't');
  const problem = bucketNameProblem(render({ literals, fields }, hashed(shortest, '0'.repeat(hashDigits))));
  return problem === undefined ? undefined : `Every name made from this bucket naming pattern would be refused. ${problem}`;
}

/**
 * The bucket of a tenant: `pattern` with `{tenant_slug}` and `{tenant_uuid}` filled in, always a valid bucket name. Values are lower-cased
 * and mapped onto `a-z 0-9 -`. Whenever that, the length or another rule of bucket names changes anything, a short hash of the originals is
 * appended, so that different values never give the same name.
 * @param reserved names that belong to no tenant, such as the default and the shared bucket
 * @throws storage_not_configured for a pattern that `patternProblem` refuses, validation_failed for a malformed tenant, tenant_conflict if
 * only reserved names are left
 */
export function bucketNameFor(pattern: string, tenant: TenantContext, reserved: readonly string[] = []): string {
  const problem = patternProblem(pattern);
  if (problem !== undefined) throw storageError('storage_not_configured', problem);
  const parsed = parse(pattern);
  const values = parsed.fields.map((field) => valueOf(tenant, field));
  const usable = (name: string): boolean => bucketNameProblem(name) === undefined && !sandboxName.test(name) && !reserved.includes(name);

  const clean = render(parsed, values);
  if (usable(clean) && !looksHashed(parsed, clean) && isReversible(parsed, tenant)) return clean;

  // Values hold no NUL, so it separates them unambiguously.
  const digest = hash('sha256', [...new Set(parsed.fields)].map((field) => valueOf(tenant, field)).join('\0')).slice(0, hashDigits);
  const legible = values.map((value) => trimDashes(value.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')) || 't');
  // The first try starts with the legible part; behind `t-`, a reserved prefix such as `sthree-` or a sandbox's no longer counts.
  for (const prefix of ['', 't-']) {
    const [first = '', ...rest] = legible;
    const name = render(parsed, hashed(fit([prefix + first, ...rest], roomIn(parsed)), digest));
    if (usable(name)) return name;
  }
  throw storageError('tenant_conflict', 'The bucket of this tenant would have a reserved name.');
}

function parse(pattern: string): Pattern {
  const parts = pattern.split(/\{([^{}]*)\}/);
  return { literals: parts.filter((_part, index) => index % 2 === 0), fields: parts.filter((_part, index) => index % 2 === 1) };
}

function valueOf(tenant: TenantContext, field: string): string {
  const isSlug = field === 'tenant_slug';
  const value = isSlug ? tenant.tenantSlug : canonicalTenantUuid(tenant.tenantUuid);
  const problem = isSlug ? tenantSlugProblem(value) : tenantUuidProblem(value);
  if (problem !== undefined) throw storageError('validation_failed', problem, { errors: [{ field, message: problem }] });
  return value;
}

function render({ literals }: Pattern, values: readonly string[]): string {
  return literals.map((literal, index) => literal + (values[index] ?? '')).join('');
}

/** Characters left for the values in a hashed name. */
function roomIn({ literals }: Pattern): number {
  return maxNameLength - literals.join('').length - hashDigits - 1;
}

function hashed(values: readonly string[], digest: string): readonly string[] {
  return values.with(-1, `${values.at(-1)}-${digest}`);
}

/** Whether a clean name has something like a hash where a hashed name has one: before the last literal. */
function looksHashed({ literals }: Pattern, name: string): boolean {
  const end = name.length - (literals.at(-1)?.length ?? 0);
  return hashEnding.test(name.slice(0, end));
}

/** Whether a clean name can be read in only one way: next to a slug, the uuid must have a fixed length (`a-b` + `c` is `a` + `b-c`). */
function isReversible({ fields }: Pattern, tenant: TenantContext): boolean {
  return new Set(fields).size === 1 || isRealUuid(tenant.tenantUuid);
}

/** Shortens the longest value until all fit. Each keeps at least one character, and none ends in a dash. */
function fit(values: readonly string[], room: number): readonly string[] {
  const lengths = values.map((value) => value.length);
  const total = (): number => lengths.reduce((sum, length) => sum + length, 0);
  while (total() > room) {
    const longest = lengths.indexOf(Math.max(...lengths));
    lengths[longest] = (lengths[longest] ?? 0) - 1;
  }
  return values.map((value, index) => trimDashes(value.slice(0, lengths[index])));
}

function trimDashes(value: string): string {
  return value.replaceAll(/^-+|-+$/g, '');
}
