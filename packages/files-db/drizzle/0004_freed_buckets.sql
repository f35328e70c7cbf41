CREATE TABLE "freed_buckets" (
	"bucket" text PRIMARY KEY NOT NULL,
	"tenant_uuid" text NOT NULL,
	"freed_at" timestamp (3) with time zone NOT NULL
);
