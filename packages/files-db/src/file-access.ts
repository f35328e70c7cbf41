import { canonicalTenantUuid, storageError } from '@coffer/storage-core';

import type { FileRecord } from './file-record.ts';

/**
 * On whose behalf files are read or changed.
 * A `user` sees the files of its tenant that it owns or that are public, and may change its own. A `service` has access to all files of the
 * tenant it names. An `admin` has access to everything, or to the files of the tenant it names. A user without a tenant has access to files
 * that belong to none. Methods that take it throw tenant_context_required for a service without a tenant, and invalid_argument for an
 * unknown role, or a tenant that is not a string.
 */
export interface FileAccess {
  /** The caller: a token's `sub`. */
  readonly subject: string;
  readonly role: 'admin' | 'service' | 'user';
  /** The tenant's uuid. */
  readonly tenant?: string | undefined;
}

/** A `FileAccess` as parameters of `visible` and `changeable`. */
export interface AccessParameters {
  readonly anyTenant: boolean;
  readonly tenant: string | null;
  readonly anyOwner: boolean;
  readonly subject: string;
}

/** For look-ups of Coffer itself, whoever owns the file. */
export const systemAccess: AccessParameters = { anyTenant: true, tenant: null, anyOwner: true, subject: '' };

type Source = (name: keyof AccessParameters, type: 'boolean' | 'text') => string;

const withinTenant = (of: Source): string => `(${of('anyTenant', 'boolean')} or tenant_uuid is not distinct from ${of('tenant', 'text')})`;
const visibleTo = (of: Source): string =>
  `${withinTenant(of)} and (${of('anyOwner', 'boolean')} or owner_id = ${of('subject', 'text')} or is_public)`;
const parameter: Source = (name, type) => `{${name}}::${type}`;

/** SQL conditions on a row of `files`. A file that is not visible does not exist for the caller. */
export const visible = visibleTo(parameter);
/** The same for a statement that has the access as a record `sought`, with the parameter names as columns. */
export const visibleToSought = visibleTo((name) => `sought."${name}"`);
export const changeable = `${withinTenant(parameter)} and (${parameter('anyOwner', 'boolean')} or owner_id = ${parameter('subject', 'text')})`;

const roles: ReadonlySet<unknown> = new Set<FileAccess['role']>(['admin', 'service', 'user']);

/** @throws as `FileAccess` says */
export function accessParameters({ subject, role, tenant }: FileAccess): AccessParameters {
  // Roles other than "user" see more, so an unknown role must not count as one of those.
  if (!roles.has(role)) throw storageError('invalid_argument', 'The role of an access must be "admin", "service" or "user".');
  // Null, as from a look-up in vain, would otherwise be the files that belong to no tenant.
  if (tenant !== undefined && typeof tenant !== 'string')
    throw storageError('invalid_argument', 'The tenant of an access must be a uuid; leave it out if there is none.');
  if (role === 'service' && tenant === undefined)
    throw storageError('tenant_context_required', 'A service must name the tenant that it acts for.');
  return {
    anyTenant: role === 'admin' && tenant === undefined,
    tenant: tenant === undefined ? null : canonicalTenantUuid(tenant),
    anyOwner: role !== 'user',
    subject,
  };
}

/** Whether the caller may also change a file that it sees. */
export function mayChange(file: FileRecord, access: FileAccess): boolean {
  return access.role !== 'user' || file.ownerId === access.subject;
}
