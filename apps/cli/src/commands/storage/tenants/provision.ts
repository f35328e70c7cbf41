import { StorageCommand } from '../../../base-command.ts';
import { newBucketFlags, tenantArgs } from '../../../flags.ts';
import { Flags } from '../../../oclif.ts';
import { provision } from '../../../services/tenants.ts';

export default class TenantsProvision extends StorageCommand {
  static override readonly summary = "Create a tenant's bucket.";
  static override readonly description =
    'Creates the bucket if it does not exist. Sets the CORS rules for uploads from browsers (STORAGE_CORS_ORIGINS) and the rule that aborts stale multipart uploads, each if the provider has such rules. The command can be repeated safely.';
  static override readonly examples = [
    '<%= config.bin %> <%= command.id %> acme',
    {
      description: 'For a tenant that is not registered yet',
      command: '<%= config.bin %> <%= command.id %> b1946ac9-2492-4d23-8f5c-6a3f0a1c9e55 --slug acme',
    },
  ];
  static override readonly args = tenantArgs;
  static override readonly usage = '<%= command.id %> ID [--slug SLUG] [--region REGION] [--acl ACL]';
  static override readonly flags = {
    slug: Flags.string({
      description: 'Slug of the tenant; if ID is an unknown uuid, the tenant is registered with it.',
      helpValue: 'SLUG',
    }),
    ...newBucketFlags,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(TenantsProvision);
    const { slug, region, acl } = flags;
    const request = { id: args.id, slug, region, acl };
    const { bucket } = await this.withSession(flags, (session) => provision(session, request), { database: true });
    this.output.document({ bucket, status: 'provisioned' });
    this.output.line(`provisioned ${bucket}`);
  }
}
