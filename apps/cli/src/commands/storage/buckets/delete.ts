import { StorageCommand } from '../../../base-command.ts';
import { bucketArgs, confirmFlag } from '../../../flags.ts';
import { Flags } from '../../../oclif.ts';
import { bytesText, countText } from '../../../render/units.ts';
import { contentsOf, deleteBucket } from '../../../services/delete-bucket.ts';
import type { Contents } from '../../../services/delete-bucket.ts';

export default class BucketsDelete extends StorageCommand {
  static override readonly summary = 'Delete a bucket.';
  static override readonly description =
    'Without --confirm, the command deletes nothing and shows how much the bucket holds. A bucket that is not empty is deleted only with --force, together with all its objects, versions and open uploads. If there is a database, the records of the files in the bucket go too, and so does its assignment to a tenant.';
  static override readonly examples = [
    { description: 'Show what would be deleted', command: '<%= config.bin %> <%= command.id %> my-bucket' },
    '<%= config.bin %> <%= command.id %> my-bucket --confirm',
    '<%= config.bin %> <%= command.id %> my-bucket --force --confirm',
  ];
  static override readonly args = bucketArgs;
  static override readonly flags = {
    confirm: confirmFlag,
    force: Flags.boolean({ description: 'Delete everything in the bucket first.' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(BucketsDelete);
    const { confirm, force } = flags;
    const { name } = args;
    if (!confirm) {
      const contents = await this.withSession(flags, (session) => contentsOf(session, name), { doing: `counting what ${name} holds` });
      return this.#preview(name, contents, force);
    }
    await this.withSession(flags, (session) => deleteBucket(session, name, { force }), { database: 'existing', doing: `deleting ${name}` });
    this.output.document({ dry_run: false, bucket: name });
    this.output.line(`deleted ${name}`);
  }

  #preview(bucket: string, { count, bytes, keepsVersions }: Contents, force: boolean): void {
    this.output.document({ dry_run: true, bucket, count, bytes });
    const contentsText = `${countText(count, 'object')} (${bytesText(bytes)})`;
    if (keepsVersions)
      this.output.note(`note: ${bucket} keeps versions: older versions and versions of deleted objects go as well, and are not counted.`);
    const requiredFlags = (count > 0 || keepsVersions) && !force ? '--force and --confirm' : '--confirm';
    this.output.line(`would delete ${bucket} with ${contentsText}; nothing is deleted without ${requiredFlags}`);
  }
}
