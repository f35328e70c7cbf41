CREATE INDEX "files_by_bucket" ON "files" USING btree ("bucket","id" NULLS FIRST) WHERE status <> 'deleted';--> statement-breakpoint
DROP INDEX "files_by_tenant";--> statement-breakpoint
CREATE INDEX "files_by_tenant" ON "files" USING btree ("tenant_uuid","id" NULLS FIRST) WHERE status <> 'deleted';