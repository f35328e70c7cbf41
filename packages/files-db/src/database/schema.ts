import { sql } from 'drizzle-orm';
import { bigint, boolean, check, index, integer, jsonb, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core';

import type { FileStatus } from '../file-record.ts';

// No schema name anywhere: the connection's search_path decides where the tables live.

const bytes = (name: string) => bigint(name, { mode: 'number' });
const time = (name: string) => timestamp(name, { withTimezone: true, precision: 3 });

/** Every tenant ever registered: deleted ones stay, so that their uuid and slugs stay taken. */
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

/** Which tenant owns a bucket; the lowest position is the primary one. */
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

/** Buckets that were taken from a tenant lately: other processes may still remember whose they were. */
export const freedBuckets = pgTable('freed_buckets', {
  bucket: text('bucket').primaryKey(),
  /** Whose it was. */
  tenantUuid: text('tenant_uuid').notNull(),
  freedAt: time('freed_at').notNull(),
});

/**
 * The one row per tenant that every upload and delete changes. Separate from `tenants` so that it stays small and its changes touch no
 * index. The quota is here, not in `tenants`, because a conditional update rechecks the newest version of the row that it changes, but not
 * of rows that it joins.
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
  /** The result of the last reservation: how an UPDATE returns what it computed from the old row. */
  grantedBytes: bytes('granted_bytes').notNull().default(0),
  /** Set when the tenant is being deleted: no more files. */
  closed: boolean('closed').notNull().default(false),
});

/** Tracked files, and the tombstones of deleted ones until a sweep has removed their objects. */
export const files = pgTable(
  'files',
  {
    /** UUID version 7, made by the service. */
    id: uuid('id').primaryKey(),
    /** Null for a file that belongs to no tenant. Not a foreign key: the reservation has made sure that the tenant exists. */
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
    /** How often completing has begun; more than once may have left copies behind. */
    completeAttempts: integer('complete_attempts').notNull().default(0),
    metadata: jsonb('metadata').$type<Record<string, unknown>>().notNull().default({}),
    createdAt: time('created_at').notNull().defaultNow(),
    updatedAt: time('updated_at').notNull().defaultNow(),
    /** When a presigned upload expires. */
    expiresAt: time('expires_at'),
    /** From when on the sweep has to look at this row; null: never. Set for every file that is not available. */
    sweepAt: time('sweep_at'),
    /** Until when only the sweep that has taken this row works on its objects. */
    leasedUntil: time('leased_until'),
  },
  (table) => [
    // Covers files that are not deleted, so that tombstones slow nobody down. The order differs from the primary key's: otherwise the
    // planner would use the primary key, and read the files of all other tenants, or buckets.
    index('files_by_tenant')
      .on(table.tenantUuid, table.id.asc().nullsFirst())
      .where(sql`status <> 'deleted'`),
    // For deleting a bucket.
    index('files_by_bucket')
      .on(table.bucket, table.id.asc().nullsFirst())
      .where(sql`status <> 'deleted'`),
    // For the lists of users. Covers available files only, so that uploads that nobody completes, and tombstones, slow nobody down. Public
    // files are apart, for listing those of an owner who has many others. The order differs from the primary key's: otherwise the planner
    // would use the primary key, and read all newer files.
    index('files_by_owner')
      .on(table.ownerId, table.tenantUuid, table.isPublic, table.id.desc().nullsLast())
      .where(sql`status = 'available'`),
    index('files_public')
      .on(table.tenantUuid, table.id.desc().nullsLast())
      .where(sql`is_public and status = 'available'`),
    // For lists by status, which would otherwise read all available files to find the few. It includes the owner, so that a user's list
    // skips other users' files without looking at them.
    index('files_by_status')
      .on(table.status, table.tenantUuid, table.id.desc().nullsLast(), table.ownerId, table.isPublic)
      .where(sql`sweep_at is not null`),
    // The same for all tenants, on an expression that only their list uses: otherwise the planner would use it for one tenant's list too,
    // and read all newer files of others.
    index('files_by_status_of_all')
      .on(sql`('any ' || status)`, table.id.desc().nullsLast())
      .where(sql`sweep_at is not null`),
    index('files_to_sweep')
      .on(table.sweepAt)
      .where(sql`sweep_at is not null`),
    check('files_status', sql`${table.status} in ('pending', 'available', 'failed', 'deleted')`),
  ],
);
