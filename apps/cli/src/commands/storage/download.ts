import { BulkCommand, bulkFlags, filterFlags } from '../../bulk-command.ts';
import { downloadDestinationOf } from '../../bulk/plan-downloads.ts';
import { Args, Flags } from '../../oclif.ts';
import { UsageError } from '../../problem.ts';
import { downloadStyle, toStdoutStyle } from '../../render/transfers.ts';
import { downloadFiles, downloadToStdout } from '../../services/download.ts';

export default class Download extends BulkCommand {
  static override readonly summary = 'Download objects.';
  static override readonly description = [
    '--output is a folder if it ends in "/", if it is an existing folder, or if more than one object is downloaded. In the folder, a file is named by the last part of its key, or by the whole key if several keys share the last part. With --recursive, everything below KEY keeps its path below KEY.',
    'A file appears under its final name only when it is whole. Up to 32 MiB, its bytes are checked against the MD5 or SHA-256 that the provider reports; larger objects arrive in ranges, all with the same ETag. No key leads outside --output.',
    '"--output -" writes one object to stdout as it arrives, and everything else to stderr. If the object turns out to be incomplete, or not what the provider reported, the exit status is 1.',
  ].join('\n\n');
  static override readonly examples = [
    { description: 'One object', command: '<%= config.bin %> <%= command.id %> uploads/file.pdf --output ./local_file.pdf' },
    { description: 'Several objects', command: '<%= config.bin %> <%= command.id %> uploads/a.pdf uploads/b.pdf --output ./downloads/' },
    { description: 'Everything below a prefix', command: '<%= config.bin %> <%= command.id %> uploads/2024 --output ./2024 --recursive' },
    { description: 'Only what is new or different', command: '<%= config.bin %> <%= command.id %> uploads -o ./copy -r --update' },
    { description: 'Into another command', command: '<%= config.bin %> <%= command.id %> backups/app.sql --output - | psql app' },
    {
      description: 'From another bucket',
      command: '<%= config.bin %> <%= command.id %> uploads/file.pdf --bucket my-bucket -o ./file.pdf',
    },
  ];
  static override readonly args = {
    key: Args.string({ ignoreStdin: true, description: 'Keys to download; with --recursive, prefixes.', required: true, multiple: true }),
  };
  static override readonly usage = '<%= command.id %> KEY... --output PATH [--recursive]';
  static override readonly flags = {
    output: Flags.string({ char: 'o', description: 'File or folder to write to; - for stdout.', helpValue: 'PATH', required: true }),
    recursive: Flags.boolean({ char: 'r', description: 'Download everything below each KEY.' }),
    update: Flags.boolean({ char: 'u', description: 'Skip objects whose file has the same size and bytes.' }),
    resume: Flags.boolean({
      description: 'Continue large files that an earlier run with --resume began; when stopped, keep what has arrived.',
    }),
    ...bulkFlags,
    ...filterFlags,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Download);
    const { output, recursive, update, resume } = flags;
    if (args.key.includes('') && !recursive) throw new UsageError('KEY must not be empty.');
    if (output === '-') {
      const [key] = args.key;
      if (key === undefined || args.key.length > 1 || recursive) throw new UsageError('--output - writes one object to stdout.');
      if (update || resume) throw new UsageError('--update and --resume need a file, but --output - writes to stdout.');
      if (this.output.json) throw new UsageError('--json and --output - both need stdout.');
      if (flags.include !== undefined || flags.exclude !== undefined)
        throw new UsageError('--include and --exclude choose among several objects, but --output - writes only one.');
      const write = (chunk: Uint8Array): Promise<boolean> => this.output.bytes(chunk);
      await this.bulk(flags, toStdoutStyle, (session, report, options) => downloadToStdout(session, { key, write, ...options }, report));
      return;
    }
    const destination = await downloadDestinationOf(output, args.key, recursive);
    await this.bulk(flags, downloadStyle, (session, report, options) =>
      downloadFiles(session, { keys: args.key, recursive, destination, update, resume, ...options }, report),
    );
  }
}
