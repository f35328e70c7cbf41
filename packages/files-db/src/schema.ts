import { sql } from 'drizzle-orm';
import { bigint, boolean, check, index, integer, jsonb, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core';

import type { FileStatus } from './file-record.ts';

// No schema name anywhere: the connection's search_path decides where the tables live.

const bytes = (name: string) => bigint(name, { mode: 'number' });
const time = (name: string) => timestamp(name, { withTimezone: true, precision: 3 });

/** Every tenant that ever was: deleted ones stay, so that their uuid and slugs stay taken. */
export const tenants = pgTable(
  'tenants',
  {
    tenantUuid: text('tenant_uuid').primaryKey(),
    tenantSlug: text('tenant_slug').notNull().unique(),
    /** `deleting` until the last of its files, objects and buckets is gone. */
    state: text('state').$type<'active' | 'deleting' | 'deleted'>().notNull().default('active'),
    createdAt: time('created_at').notNull().defaultNow(),
  },
  (table) => [check('tenants_state', sql`${table.state} in ('active', 'deleting', 'deleted')`)],
);

/** Every slug ever used, present and former. */
export const tenantSlugs = pgTable('tenant_slugs', {
  slug: text('slug').primaryKey(),
  tenantUuid: text('tenant_uuid')
    .notNull()
    .references(() => tenants.tenantUuid),
});

/** Which tenant has a bucket; the lowest position is the primary one. */
export const tenantBuckets = pgTable(
  'tenant_buckets',
  {
    bucket: text('bucket').primaryKey(),
    tenantUuid: text('tenant_uuid')
      .notNull()
      .references(() => tenants.tenantUuid),
    position: integer('position').notNull().default(0),
  },
  (table) => [index('tenant_buckets_by_tenant').on(table.tenantUuid, table.position)],
);

/**
 * The one row per tenant that every upload and delete changes, apart from `tenants` so that it stays small and no index
 * ever has to follow. The quota lives here, and not in `tenants`, because a conditional update rechecks the
 * newest version of the row it changes, but not of rows it joins.
 */
export const tenantUsage = pgTable('tenant_usage', {
  tenantUuid: text('tenant_uuid')
    .primaryKey()
    .references(() => tenants.tenantUuid),
  quotaBytes: bytes('quota_bytes'),
  /** Of available files. */
  usedBytes: bytes('used_bytes').notNull().default(0),
  usedFiles: bytes('used_files').notNull().default(0),
  /** Always the sum of `files.reserved_bytes` of the tenant's pending files. */
  reservedBytes: bytes('reserved_bytes').notNull().default(0),
  /** What the last reservation came to: how an UPDATE returns what it computed from the old row. */
  grantedBytes: bytes('granted_bytes').notNull().default(0),
  /** Set when the tenant is being deleted: nothing is reserved any more. */
  closed: boolean('closed').notNull().default(false),
});

/** Tracked files, with the tombstones of deleted ones until a sweep has seen to their objects. */
export const files = pgTable(
  'files',
  {
    /** UUID version 7, made by the service. */
    id: uuid('id').primaryKey(),
    /** Null in a deployment without tenants. Not a foreign key: the reservation has seen to it that the tenant exists. */
    tenantUuid: text('tenant_uuid'),
    ownerId: text('owner_id').notNull(),
    filename: text('filename').notNull(),
    contentType: text('content_type').notNull(),
    sizeBytes: bytes('size_bytes').notNull().default(0),
    bucket: text('bucket').notNull(),
    storageKey: text('storage_key').notNull(),
    /** Where a presigned upload arrives; its form or URL may be used again until `expires_at`. */
    uploadKey: text('upload_key'),
    isPublic: boolean('is_public').notNull().default(false),
    status: text('status').$type<FileStatus>().notNull().default('pending'),
    etag: text('etag'),
    /** Declared while the file is pending, verified afterwards. */
    sha256: text('sha256'),
    /** Counted in `tenant_usage.reserved_bytes` while the file is pending; keeps its last value afterwards. */
    reservedBytes: bytes('reserved_bytes').notNull().default(0),
    /** How often completing was begun: more than once may have left copies behind. */
    completeAttempts: integer('complete_attempts').notNull().default(0),
    metadata: jsonb('metadata').$type<Record<string, unknown>>().notNull().default({}),
    createdAt: time('created_at').notNull().defaultNow(),
    updatedAt: time('updated_at').notNull().defaultNow(),
    /** Until when a presigned upload is accepted. */
    expiresAt: time('expires_at'),
    /** From when on the sweep has work with this row; null: never. Set for every file that is not available. */
    sweepAt: time('sweep_at'),
  },
  (table) => [
    // Of files that are not deleted: tombstones stand in no one's way. In an order that the primary key does not have, since the
    // planner would read all that other tenants, or buckets, have there.
    index('files_by_tenant')
      .on(table.tenantUuid, table.id.asc().nullsFirst())
      .where(sql`status <> 'deleted'`),
    // For whoever deletes a bucket.
    index('files_by_bucket')
      .on(table.bucket, table.id.asc().nullsFirst())
      .where(sql`status <> 'deleted'`),
    // For the lists of users. Of available files only: presigned uploads that nobody completes, and tombstones, stand in no
    // one's way. Public ones apart, for whoever looks at those of an owner who has many others. In an order that the primary key does
    // not have, since the planner would read all that is newer there.
    index('files_by_owner')
      .on(table.ownerId, table.tenantUuid, table.isPublic, table.id.desc().nullsLast())
      .where(sql`status = 'available'`),
    index('files_public')
      .on(table.tenantUuid, table.id.desc().nullsLast())
      .where(sql`is_public and status = 'available'`),
    // For lists by status, which would read all that is available to find the few. Whose a file is stands in it as well, so that a
    // user's list passes over those of others without looking at them.
    index('files_by_status')
      .on(table.status, table.tenantUuid, table.id.desc().nullsLast(), table.ownerId, table.isPublic)
      .where(sql`sweep_at is not null`),
    // The same of all tenants, by an expression that only their list asks for: the planner would take a list of one tenant from here
    // too, and read all that is newer of others.
    index('files_by_status_of_all')
      .on(sql`('any ' || status)`, table.id.desc().nullsLast())
      .where(sql`sweep_at is not null`),
    index('files_to_sweep')
      .on(table.sweepAt)
      .where(sql`sweep_at is not null`),
    check('files_status', sql`${table.status} in ('pending', 'available', 'failed', 'deleted')`),
  ],
);
