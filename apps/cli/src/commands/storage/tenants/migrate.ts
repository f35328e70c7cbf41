import type { StrayFile } from '@coffer/files-db';

import { BulkCommand, bulkFlags, filterFlags } from '../../../bulk-command.ts';
import { Flags } from '../../../oclif.ts';
import type { ReportStyle } from '../../../render/bulk-report.ts';
import { printable } from '../../../render/printable.ts';
import { migrateTenants } from '../../../services/migrate-tenants.ts';

const tenancyOffHint = 'new files still go to the default bucket. Switch it on and run this command again.';

const style: ReportStyle<StrayFile> = {
  verb: 'move',
  past: 'moved',
  line: ({ tenant, from, to, key }) => printable(`${tenant.tenantSlug}: ${from}/${key} -> ${to}/${key}`),
  json: ({ id, tenant, from, to, key, sizeBytes }) => ({
    file_id: id,
    tenant_uuid: tenant.tenantUuid,
    key,
    source_bucket: from,
    bucket: to,
    size_bytes: sizeBytes,
  }),
  size: ({ sizeBytes }) => sizeBytes,
  alwaysShowsDryRun: true,
  after: ({ count, bytes, skipped }) => ({ count, bytes, skipped }),
};

export default class TenantsMigrate extends BulkCommand {
  static override readonly summary = "Move tracked files into their tenants' buckets.";
  static override readonly description = [
    "Moves every file that is in none of its tenant's buckets to the tenant's own bucket, for example files uploaded before STORAGE_ENABLE_MULTI_TENANCY was on. The provider copies each file, and Coffer verifies the copy before it changes the record, so files stay readable throughout.",
    'The old object stays for --keep days, for URLs that were handed out before; after that, a sweep removes it. The command can be stopped at any point: run it again to move the rest.',
  ].join('\n\n');
  static override readonly examples = [
    { description: 'Show what would be moved', command: '<%= config.bin %> <%= command.id %> --dry-run' },
    '<%= config.bin %> <%= command.id %>',
    { description: 'When nobody holds an older URL', command: '<%= config.bin %> <%= command.id %> --keep 0' },
  ];
  static override readonly flags = {
    'dry-run': filterFlags['dry-run'],
    keep: Flags.integer({ description: 'Days for which the old objects stay.', helpValue: 'DAYS', default: 7, min: 0, max: 3650 }),
    ...bulkFlags,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(TenantsMigrate);
    await this.bulk(
      flags,
      style,
      async (session, report, options) => {
        if (!session.config.storage.multiTenancy) this.output.note(`note: STORAGE_ENABLE_MULTI_TENANCY is off: ${tenancyOffHint}`);
        await migrateTenants(session, { keepDays: flags.keep, ...options }, report);
      },
      { database: true },
    );
  }
}
