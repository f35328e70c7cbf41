import { StorageCommand } from '../../../base-command.ts';
import { aclFlag } from '../../../flags.ts';
import { Args, Flags } from '../../../oclif.ts';
import { bucketJson } from '../../../render/bucket.ts';

export default class BucketsCreate extends StorageCommand {
  static override readonly summary = 'Create a bucket.';
  static override readonly examples = [
    '<%= config.bin %> <%= command.id %> my-bucket',
    '<%= config.bin %> <%= command.id %> my-bucket --region us-west-2 --acl private',
  ];
  static override readonly args = { name: Args.string({ ignoreStdin: true, description: 'Name of the bucket.', required: true }) };
  static override readonly flags = {
    region: Flags.string({ description: 'Region of the bucket, instead of STORAGE_S3_REGION.', helpValue: 'REGION' }),
    acl: aclFlag({ description: 'Canned ACL of the bucket.' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(BucketsCreate);
    const { region, acl } = flags;
    const bucket = await this.withSession(flags, ({ storage, ctx }) => storage.createBucket({ bucket: args.name, region, acl }, ctx));
    this.output.document(bucketJson(bucket));
    this.output.line(`created ${bucket.name} in ${bucket.region}`);
  }
}
