/** drizzle/*.sql, as a module: an application bundled into one file has no folder to read. Made by scripts/embed-migrations.ts. */
export const migrations: readonly { readonly name: string; readonly sql: string }[] = [
  {
    name: '0000_initial',
    sql: `CREATE TABLE "files" (
	"id" uuid PRIMARY KEY NOT NULL,
	"tenant_uuid" text,
	"owner_id" text NOT NULL,
	"filename" text NOT NULL,
	"content_type" text NOT NULL,
	"size_bytes" bigint DEFAULT 0 NOT NULL,
	"bucket" text NOT NULL,
	"storage_key" text NOT NULL,
	"upload_key" text,
	"is_public" boolean DEFAULT false NOT NULL,
	"status" text DEFAULT 'pending' NOT NULL,
	"etag" text,
	"sha256" text,
	"reserved_bytes" bigint DEFAULT 0 NOT NULL,
	"complete_attempts" integer DEFAULT 0 NOT NULL,
	"metadata" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp (3) with time zone,
	"sweep_at" timestamp (3) with time zone,
	CONSTRAINT "files_status" CHECK ("files"."status" in ('pending', 'available', 'failed', 'deleted'))
);
--> statement-breakpoint
CREATE TABLE "tenant_buckets" (
	"bucket" text PRIMARY KEY NOT NULL,
	"tenant_uuid" text NOT NULL,
	"position" integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE "tenant_slugs" (
	"slug" text PRIMARY KEY NOT NULL,
	"tenant_uuid" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "tenant_usage" (
	"tenant_uuid" text PRIMARY KEY NOT NULL,
	"quota_bytes" bigint,
	"used_bytes" bigint DEFAULT 0 NOT NULL,
	"used_files" bigint DEFAULT 0 NOT NULL,
	"reserved_bytes" bigint DEFAULT 0 NOT NULL,
	"granted_bytes" bigint DEFAULT 0 NOT NULL,
	"closed" boolean DEFAULT false NOT NULL
);
--> statement-breakpoint
CREATE TABLE "tenants" (
	"tenant_uuid" text PRIMARY KEY NOT NULL,
	"tenant_slug" text NOT NULL,
	"state" text DEFAULT 'active' NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "tenants_tenant_slug_unique" UNIQUE("tenant_slug"),
	CONSTRAINT "tenants_state" CHECK ("tenants"."state" in ('active', 'deleting', 'deleted'))
);
--> statement-breakpoint
ALTER TABLE "tenant_buckets" ADD CONSTRAINT "tenant_buckets_tenant_uuid_tenants_tenant_uuid_fk" FOREIGN KEY ("tenant_uuid") REFERENCES "tenants"("tenant_uuid") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "tenant_slugs" ADD CONSTRAINT "tenant_slugs_tenant_uuid_tenants_tenant_uuid_fk" FOREIGN KEY ("tenant_uuid") REFERENCES "tenants"("tenant_uuid") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "tenant_usage" ADD CONSTRAINT "tenant_usage_tenant_uuid_tenants_tenant_uuid_fk" FOREIGN KEY ("tenant_uuid") REFERENCES "tenants"("tenant_uuid") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "files_by_tenant" ON "files" USING btree ("tenant_uuid","id");--> statement-breakpoint
CREATE INDEX "files_by_owner" ON "files" USING btree ("owner_id","tenant_uuid","is_public","id" DESC NULLS LAST) WHERE status = 'available';--> statement-breakpoint
CREATE INDEX "files_public" ON "files" USING btree ("tenant_uuid","id" DESC NULLS LAST) WHERE is_public and status = 'available';--> statement-breakpoint
CREATE INDEX "files_to_sweep" ON "files" USING btree ("sweep_at") WHERE sweep_at is not null;--> statement-breakpoint
CREATE INDEX "tenant_buckets_by_tenant" ON "tenant_buckets" USING btree ("tenant_uuid","position");--> statement-breakpoint
-- Every upload and delete of a tenant changes its one row: the page is left mostly empty, so that the new version of the
-- row finds room beside the old one and no index is touched (a HOT update).
ALTER TABLE "tenant_usage" SET (fillfactor = 20);
`,
  },
  {
    name: '0001_files_by_status',
    sql: `CREATE INDEX "files_by_status" ON "files" USING btree ("status","tenant_uuid","id" DESC NULLS LAST,"owner_id","is_public") WHERE sweep_at is not null;`,
  },
  {
    name: '0002_files_by_bucket',
    sql: `CREATE INDEX "files_by_bucket" ON "files" USING btree ("bucket","id" NULLS FIRST) WHERE status <> 'deleted';`,
  },
  {
    name: '0003_files_by_status_of_all',
    sql: `CREATE INDEX "files_by_status_of_all" ON "files" USING btree (('any ' || status),"id" DESC NULLS LAST) WHERE sweep_at is not null;--> statement-breakpoint
-- Dropped last: nobody reads from then on until all of it is done, and to make an index of many files takes long.
ALTER INDEX "files_by_tenant" RENAME TO "files_by_tenant_former";--> statement-breakpoint
CREATE INDEX "files_by_tenant" ON "files" USING btree ("tenant_uuid","id" NULLS FIRST) WHERE status <> 'deleted';--> statement-breakpoint
DROP INDEX "files_by_tenant_former";
`,
  },
  {
    name: '0004_freed_buckets',
    sql: `CREATE TABLE "freed_buckets" (
	"bucket" text PRIMARY KEY NOT NULL,
	"tenant_uuid" text NOT NULL,
	"freed_at" timestamp (3) with time zone NOT NULL
);
`,
  },
  {
    name: '0005_sweep_leases',
    sql: `ALTER TABLE "files" ADD COLUMN "leased_until" timestamp (3) with time zone;`,
  },
];
