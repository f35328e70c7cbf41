import { StorageCommand } from '../../../base-command.ts';
import { tenantArgs } from '../../../flags.ts';
import { fields } from '../../../render/table.ts';
import { quotaText } from '../../../render/tenant.ts';
import { bytesText, countText } from '../../../render/units.ts';
import { runtimeOf } from '../../../services/open-session.ts';

export default class TenantsUsage extends StorageCommand {
  static override readonly summary = 'Show what a tenant stores.';
  static override readonly description =
    'Counts the tracked files of the tenant. Objects that were not written through the files API are not counted.';
  static override readonly examples = ['<%= config.bin %> <%= command.id %> acme', '<%= config.bin %> <%= command.id %> acme --json'];
  static override readonly args = tenantArgs;

  async run(): Promise<void> {
    const { args, flags } = await this.parse(TenantsUsage);
    const usage = await this.withSession(flags, (session) => runtimeOf(session).tenants.usage(args.id), { database: true });
    const { bytes, files, quotaBytes } = usage;
    this.output.document({ bytes, files, quota_bytes: quotaBytes });
    this.output.line(fields({ files: countText(files, 'file'), bytes: bytesText(bytes), quota: quotaText(quotaBytes) }));
  }
}
