import { StorageCommand } from '../../../base-command.ts';
import { bucketJson, bucketTable } from '../../../render/bucket.ts';

export default class BucketsList extends StorageCommand {
  static override readonly summary = 'List buckets.';
  static override readonly examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --json'];

  async run(): Promise<void> {
    const { flags } = await this.parse(BucketsList);
    const buckets = await this.withSession(flags, ({ storage, ctx }) => storage.listBuckets(ctx));
    this.output.document({ buckets: buckets.map(bucketJson), total: buckets.length });
    if (buckets.length > 0) this.output.line(bucketTable(buckets));
  }
}
