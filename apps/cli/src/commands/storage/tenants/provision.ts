import { StorageCommand } from '../../../base-command.ts';
import { aclFlag } from '../../../flags.ts';
import { Args, Flags } from '../../../oclif.ts';
import { provision } from '../../../services/tenants.ts';

export default class TenantsProvision extends StorageCommand {
  static override readonly summary = "Create a tenant's bucket.";
  static override readonly description =
    'Creates the bucket unless it is there, and sets CORS for uploads from browsers (STORAGE_CORS_ORIGINS) and the abort of stale multipart uploads, each where the provider has such a rule. May be repeated.';
  static override readonly examples = [
    '<%= config.bin %> <%= command.id %> acme',
    {
      description: 'Of a tenant that is not registered yet',
      command: '<%= config.bin %> <%= command.id %> b1946ac9-2492-4d23-8f5c-6a3f0a1c9e55 --slug acme',
    },
  ];
  static override readonly args = { id: Args.string({ ignoreStdin: true, description: 'Uuid or slug of the tenant.', required: true }) };
  static override readonly flags = {
    slug: Flags.string({ description: 'Slug of the tenant: it is registered if ID is the uuid of none.', helpValue: 'SLUG' }),
    region: Flags.string({ description: 'Region of the bucket, instead of STORAGE_S3_REGION.', helpValue: 'REGION' }),
    acl: aclFlag({ description: 'Canned ACL of the bucket.' }),
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
