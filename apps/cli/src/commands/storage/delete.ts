import { BulkCommand, bulkFlags, filterFlags } from '../../bulk-command.ts';
import { confirmFlag } from '../../flags.ts';
import { Args, Flags } from '../../oclif.ts';
import { UsageError } from '../../problem.ts';
import { deleteStyle } from '../../render/deletions.ts';
import { deleteFiles } from '../../services/delete.ts';

export default class Delete extends BulkCommand {
  static override readonly summary = 'Delete objects.';
  static override readonly description =
    'Without --confirm, the command deletes nothing and shows what it would delete. With --prefix, it deletes everything below KEY/, but not the object KEY itself.';
  static override readonly examples = [
    { description: 'Show what would be deleted', command: '<%= config.bin %> <%= command.id %> uploads/old/ --prefix' },
    { description: 'Everything below a prefix', command: '<%= config.bin %> <%= command.id %> uploads/old/ --prefix --confirm' },
    { description: 'Two objects', command: '<%= config.bin %> <%= command.id %> uploads/file1.pdf uploads/file2.pdf --confirm' },
    {
      description: 'Only the keys that match a pattern',
      command: '<%= config.bin %> <%= command.id %> logs --prefix --include "*.tmp" --confirm',
    },
  ];
  static override readonly args = {
    key: Args.string({ ignoreStdin: true, description: 'Keys to delete; with --prefix, prefixes.', required: true, multiple: true }),
  };
  static override readonly usage = '<%= command.id %> KEY... [--prefix] [--confirm]';
  static override readonly flags = {
    prefix: Flags.boolean({
      description: 'Delete everything below each KEY. --recursive and -r, as in the other commands, do the same.',
      aliases: ['recursive'],
      charAliases: ['r'],
    }),
    confirm: confirmFlag,
    include: filterFlags.include,
    exclude: filterFlags.exclude,
    ...bulkFlags,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Delete);
    const { prefix, confirm } = flags;
    if (args.key.some((key) => key === '' || key === '/'))
      throw new UsageError('To delete a whole bucket, use "coffer storage buckets delete --force".');
    await this.bulk({ ...flags, 'dry-run': !confirm }, deleteStyle, (session, report, options) =>
      deleteFiles(session, { keys: args.key, prefix, ...options }, report),
    );
  }
}
