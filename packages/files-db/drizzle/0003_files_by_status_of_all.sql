CREATE INDEX "files_by_status_of_all" ON "files" USING btree (('any ' || status),"id" DESC NULLS LAST) WHERE sweep_at is not null;--> statement-breakpoint
-- Dropped last: nobody reads from then on until all of it is done, and to make an index of many files takes long.
ALTER INDEX "files_by_tenant" RENAME TO "files_by_tenant_former";--> statement-breakpoint
CREATE INDEX "files_by_tenant" ON "files" USING btree ("tenant_uuid","id" NULLS FIRST) WHERE status <> 'deleted';--> statement-breakpoint
DROP INDEX "files_by_tenant_former";
