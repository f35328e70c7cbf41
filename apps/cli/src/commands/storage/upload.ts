import { BulkCommand, bulkFlags, filterFlags } from '../../bulk-command.ts';
import { sourcesOf } from '../../bulk/plan-uploads.ts';
import { aclFlag, storageClassFlag } from '../../flags.ts';
import { Args, Flags } from '../../oclif.ts';
import { UsageError } from '../../problem.ts';
import { uploadStyle } from '../../render/transfers.ts';
import { uploadFiles, uploadStdin } from '../../services/upload.ts';

export default class Upload extends BulkCommand {
  static override readonly summary = 'Upload files.';
  static override readonly description = [
    "The key of an object is the file's name, below --prefix if it is given; --key sets another key. With --recursive, the files in a directory get their paths below that directory as keys. Symbolic links are followed. Coffer's own data directory is left out.",
    'A file that changes while it is read is a failure. A single "-" stands for stdin, of any length, and needs --key.',
  ].join('\n\n');
  static override readonly examples = [
    { description: 'One file', command: '<%= config.bin %> <%= command.id %> local_file.pdf --key uploads/file.pdf --acl public-read' },
    { description: 'Several files', command: '<%= config.bin %> <%= command.id %> file1.pdf file2.pdf --prefix uploads/' },
    { description: 'A directory', command: '<%= config.bin %> <%= command.id %> ./documents/ --prefix uploads/docs/ --recursive' },
    {
      description: 'Only what is new or different',
      command: '<%= config.bin %> <%= command.id %> ./site --recursive --update --exclude "*.tmp"',
    },
    { description: 'The output of another command', command: 'pg_dump app | <%= config.bin %> <%= command.id %> - --key backups/app.sql' },
    { description: 'For a tenant', command: 'TENANT_ID=acme-123 <%= config.bin %> <%= command.id %> file.pdf --key uploads/file.pdf' },
  ];
  static override readonly args = {
    path: Args.string({ ignoreStdin: true, description: 'Files and directories to upload; - for stdin.', required: true, multiple: true }),
  };
  static override readonly usage = '<%= command.id %> PATH... [--key K | --prefix P] [--recursive]';
  static override readonly flags = {
    key: Flags.string({ char: 'k', description: 'Key of the object.', exclusive: ['prefix'] }),
    prefix: Flags.string({ char: 'p', description: 'Prefix of the keys; a "/" is added unless it ends in one.' }),
    recursive: Flags.boolean({ char: 'r', description: 'Upload the files in directories.' }),
    acl: aclFlag(),
    'storage-class': storageClassFlag(),
    'content-type': Flags.string({ description: 'Media type, instead of the one that the file name implies.', helpValue: 'TYPE' }),
    update: Flags.boolean({ char: 'u', description: 'Skip files whose object has the same size and ETag.' }),
    ...bulkFlags,
    ...filterFlags,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Upload);
    const { key, prefix, recursive, acl, update, 'storage-class': storageClass, 'content-type': contentType } = flags;
    const settings = { acl, storageClass: storageClass || undefined, contentType: contentType || undefined };
    if (key === '') throw new UsageError('--key must not be empty.');
    if (args.path.includes('-')) {
      if (update) throw new UsageError('--update compares files; it cannot be used with stdin.');
      if (flags.include !== undefined || flags.exclude !== undefined)
        throw new UsageError('--include and --exclude choose among files; they cannot be used with stdin.');
      if (args.path.length > 1 || recursive)
        throw new UsageError('- stands for stdin and cannot be combined with other paths; for a file with that name, write ./-.');
      if (key === undefined) throw new UsageError('Data from stdin has no name; give one with --key.');
      await this.bulk(flags, uploadStyle, (session, report, options) => uploadStdin(session, { key, ...settings, ...options }, report));
      return;
    }
    const sources = await sourcesOf(args.path, { key, prefix, recursive });
    await this.bulk(flags, uploadStyle, (session, report, options) =>
      uploadFiles(session, { sources, key, prefix, ...settings, update, ...options }, report),
    );
  }
}
