import { StorageCommand } from '../../../base-command.ts';
import { confirmFlag } from '../../../flags.ts';
import { Args, Flags } from '../../../oclif.ts';
import { bytesText, countText } from '../../../render/units.ts';
import { deleteBucket } from '../../../services/delete-bucket.ts';

export default class BucketsDelete extends StorageCommand {
  static override readonly summary = 'Delete a bucket.';
  static override readonly description =
    'Without --confirm nothing is deleted: the command shows how much the bucket holds. A bucket that is not empty is deleted with --force only, and with it all objects, versions and open uploads.';
  static override readonly examples = [
    { description: 'What would go', command: '<%= config.bin %> <%= command.id %> my-bucket' },
    '<%= config.bin %> <%= command.id %> my-bucket --confirm',
    '<%= config.bin %> <%= command.id %> my-bucket --force --confirm',
  ];
  static override readonly args = { name: Args.string({ description: 'Name of the bucket.', required: true }) };
  static override readonly flags = {
    confirm: confirmFlag,
    force: Flags.boolean({ description: 'Delete everything in the bucket first.' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(BucketsDelete);
    const { confirm, force } = flags;
    const { count, bytes } = await this.withSession(flags, (session) => deleteBucket(session, args.name, { confirm, force }));
    this.output.document({ dry_run: !confirm, bucket: args.name, ...(!confirm && { count, bytes }) });
    const holds = `${countText(count, 'object')} (${bytesText(bytes)})`;
    this.output.line(confirm ? `deleted ${args.name}` : `would delete ${args.name} with ${holds}; nothing is deleted without --confirm`);
  }
}
