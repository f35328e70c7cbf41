import { canonicalTenantUuid, storageError } from '@coffer/storage-core';

import type { FileRecord } from './file-record.ts';

/**
 * On whose behalf files are read or changed.
 * A `user` sees the files of its tenant that it owns or that are public, and changes its own; a `service` has all files
 * of the tenant it names; an `admin` has everything, or the files of the tenant it names. A user without a tenant
 * has the files that belong to none.
 */
export interface FileAccess {
  /** Who asks: a token's `sub`. */
  readonly subject: string;
  readonly role: 'admin' | 'service' | 'user';
  /** The tenant's uuid. */
  readonly tenant?: string | undefined;
}

/** An access as parameters of `visible` and `changeable`. */
export interface AccessParameters {
  readonly anyTenant: boolean;
  readonly tenant: string | null;
  readonly anyOwner: boolean;
  readonly subject: string;
}

/** For what Coffer itself has to know of a file, whosever it is. */
export const anybody: AccessParameters = { anyTenant: true, tenant: null, anyOwner: true, subject: '' };

type Source = (name: keyof AccessParameters, type: 'boolean' | 'text') => string;

const withinTenant = (of: Source): string => `(${of('anyTenant', 'boolean')} or tenant_uuid is not distinct from ${of('tenant', 'text')})`;
const visibleTo = (of: Source): string =>
  `${withinTenant(of)} and (${of('anyOwner', 'boolean')} or owner_id = ${of('subject', 'text')} or is_public)`;
const parameter: Source = (name, type) => `{${name}}::${type}`;

/** Conditions on a row of `files`. What is not visible does not exist for the caller. */
export const visible = visibleTo(parameter);
/** The same where the access is a record `sought` of the statement, whose columns have the names of the parameters. */
export const visibleToSought = visibleTo((name) => `sought."${name}"`);
export const changeable = `${withinTenant(parameter)} and (${parameter('anyOwner', 'boolean')} or owner_id = ${parameter('subject', 'text')})`;

const roles: ReadonlySet<unknown> = new Set<FileAccess['role']>(['admin', 'service', 'user']);

/** @throws tenant_context_required for a service that names no tenant, invalid_argument for a role that is none */
export function accessParameters({ subject, role, tenant }: FileAccess): AccessParameters {
  // Whoever is not a user may see more, so a role that nobody knows must not pass for one that is not "user".
  if (!roles.has(role)) throw storageError('invalid_argument', 'The role of an access must be "admin", "service" or "user".');
  if (role === 'service' && tenant === undefined)
    throw storageError('tenant_context_required', 'A service must name the tenant that it acts for.');
  return {
    anyTenant: role === 'admin' && tenant === undefined,
    tenant: tenant === undefined ? null : canonicalTenantUuid(tenant),
    anyOwner: role !== 'user',
    subject,
  };
}

/** Whether a file that the caller sees is also its to change. */
export function mayChange(file: FileRecord, access: FileAccess): boolean {
  return access.role !== 'user' || file.ownerId === access.subject;
}
