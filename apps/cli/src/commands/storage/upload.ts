import { BulkCommand, bulkFlags, filterFlags } from '../../bulk-command.ts';
import { sourcesOf } from '../../bulk/plan-uploads.ts';
import { aclFlag, storageClassFlag } from '../../flags.ts';
import { Args, Flags } from '../../oclif.ts';
import { UsageError } from '../../problem.ts';
import { uploadStyle } from '../../render/transfers.ts';
import { uploadFiles } from '../../services/upload.ts';

export default class Upload extends BulkCommand {
  static override readonly summary = 'Upload files.';
  static override readonly description = [
    'A file becomes an object of its name, below --prefix, or of the key that --key says. With --recursive, what is in a directory is uploaded under its path below that directory; symbolic links are followed, and the folder where Coffer itself keeps its data is left out.',
    'A file that changes while it is read fails. A single "-" stands for stdin, of whatever length; it needs --key.',
  ].join('\n\n');
  static override readonly examples = [
    { description: 'One file', command: '<%= config.bin %> <%= command.id %> local_file.pdf --key uploads/file.pdf --acl public-read' },
    { description: 'Several files', command: '<%= config.bin %> <%= command.id %> file1.pdf file2.pdf --prefix uploads/' },
    { description: 'A directory', command: '<%= config.bin %> <%= command.id %> ./documents/ --prefix uploads/docs/ --recursive' },
    {
      description: 'What is new or different',
      command: '<%= config.bin %> <%= command.id %> ./site --recursive --update --exclude "*.tmp"',
    },
    { description: 'What another command writes', command: 'pg_dump app | <%= config.bin %> <%= command.id %> - --key backups/app.sql' },
    { description: 'For a tenant', command: 'TENANT_ID=acme-123 <%= config.bin %> <%= command.id %> file.pdf --key uploads/file.pdf' },
  ];
  static override readonly args = {
    path: Args.string({ ignoreStdin: true, description: 'Files and directories; - for stdin.', required: true, multiple: true }),
  };
  static override readonly usage = '<%= command.id %> PATH... [--key K | --prefix P] [--recursive]';
  static override readonly flags = {
    key: Flags.string({ char: 'k', description: 'Key of the object.', exclusive: ['prefix'] }),
    prefix: Flags.string({ char: 'p', description: 'What the keys begin with; a "/" is put behind it where there is none.' }),
    recursive: Flags.boolean({ char: 'r', description: 'Upload what is in directories.' }),
    acl: aclFlag(),
    'storage-class': storageClassFlag(),
    'content-type': Flags.string({ description: 'Media type, instead of what the name stands for.', helpValue: 'TYPE' }),
    update: Flags.boolean({ char: 'u', description: 'Leave out files whose object has the same size and ETag.' }),
    ...bulkFlags,
    ...filterFlags,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Upload);
    const { key, prefix, recursive, acl, update, 'storage-class': storageClass, 'content-type': contentType } = flags;
    if (update && args.path.includes('-')) throw new UsageError('--update compares files, and what comes on stdin is none.');
    if (args.path.includes('-') && (flags.include !== undefined || flags.exclude !== undefined)) {
      throw new UsageError('--include and --exclude choose among files, and what comes on stdin is none.');
    }
    const sources = await sourcesOf(args.path, { key, prefix, recursive });
    const settings = { ...(acl && { acl }), ...(storageClass && { storageClass }), ...(contentType && { contentType }) };
    await this.bulk(flags, uploadStyle, (session, report, options) =>
      uploadFiles(session, { sources, key, prefix, ...settings, update, ...options }, report),
    );
  }
}
