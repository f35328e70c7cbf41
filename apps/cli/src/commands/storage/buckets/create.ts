import { StorageCommand } from '../../../base-command.ts';
import { bucketArgs, newBucketFlags } from '../../../flags.ts';
import { bucketJson } from '../../../render/bucket.ts';

export default class BucketsCreate extends StorageCommand {
  static override readonly summary = 'Create a bucket.';
  static override readonly examples = [
    '<%= config.bin %> <%= command.id %> my-bucket',
    '<%= config.bin %> <%= command.id %> my-bucket --region us-west-2 --acl private',
  ];
  static override readonly args = bucketArgs;
  static override readonly usage = '<%= command.id %> NAME [--region REGION] [--acl ACL]';
  static override readonly flags = newBucketFlags;

  async run(): Promise<void> {
    const { args, flags } = await this.parse(BucketsCreate);
    const { region, acl } = flags;
    const bucket = await this.withSession(flags, ({ storage, ctx }) => storage.createBucket({ bucket: args.name, region, acl }, ctx));
    this.output.document(bucketJson(bucket));
    this.output.line(`created ${bucket.name} in ${bucket.region}`);
  }
}
