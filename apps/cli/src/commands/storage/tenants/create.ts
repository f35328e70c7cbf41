import { StorageCommand } from '../../../base-command.ts';
import { Args, Flags } from '../../../oclif.ts';
import { quotaText, tenantFields, tenantJson } from '../../../render/tenant.ts';
import { runtimeOf } from '../../../services/open-session.ts';

export default class TenantsCreate extends StorageCommand {
  static override readonly summary = 'Register a tenant.';
  static override readonly description =
    'Binds a uuid and a slug to each other for ever. Registering the same pair again changes nothing. Another slug for a registered uuid, or another uuid for a registered slug, fails with tenant_conflict. The tenant gets its bucket with its first upload, or by "provision"; a bucket that holds objects already, only by "provision".';
  static override readonly examples = [
    '<%= config.bin %> <%= command.id %> b1946ac9-2492-4d23-8f5c-6a3f0a1c9e55 acme',
    '<%= config.bin %> <%= command.id %> b1946ac9-2492-4d23-8f5c-6a3f0a1c9e55 acme --quota 10737418240',
  ];
  static override readonly args = {
    uuid: Args.string({ ignoreStdin: true, description: 'Uuid that identifies the tenant.', required: true }),
    slug: Args.string({ ignoreStdin: true, description: 'Readable name of the tenant.', required: true }),
  };
  static override readonly flags = {
    quota: Flags.integer({ description: 'Limit for the total size of its files.', helpValue: 'BYTES', min: 0 }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(TenantsCreate);
    const { quota = null } = flags;
    const { tenant, created } = await this.withSession(
      flags,
      (session) => runtimeOf(session).tenants.create({ tenantUuid: args.uuid, tenantSlug: args.slug, quotaBytes: quota }),
      { database: true },
    );
    this.output.document({ ...tenantJson(tenant), created });
    this.output.line(tenantFields(tenant));
    if (created) return;
    const quotaNote = quota !== null && quota !== tenant.quotaBytes ? `; its quota stays ${quotaText(tenant.quotaBytes)}` : '';
    this.output.note(`The tenant is already registered${quotaNote}.`);
  }
}
