import { StorageCommand } from '../../../base-command.ts';
import { bucketArgs } from '../../../flags.ts';
import { bucketFields, bucketJson } from '../../../render/bucket.ts';

export default class BucketsInfo extends StorageCommand {
  static override readonly summary = 'Show information about a bucket.';
  static override readonly examples = [
    '<%= config.bin %> <%= command.id %> my-bucket',
    '<%= config.bin %> <%= command.id %> my-bucket --json',
  ];
  static override readonly args = bucketArgs;

  async run(): Promise<void> {
    const { args, flags } = await this.parse(BucketsInfo);
    const bucket = await this.withSession(flags, ({ storage, ctx }) => storage.getBucketInfo(args.name, ctx));
    this.output.document(bucketJson(bucket));
    this.output.line(bucketFields(bucket));
  }
}
