import { BulkCommand, bulkFlags, filterFlags } from '../../bulk-command.ts';
import { placeOf } from '../../bulk/plan-downloads.ts';
import { Args, Flags } from '../../oclif.ts';
import { UsageError } from '../../problem.ts';
import { downloadStyle, toStdoutStyle } from '../../render/transfers.ts';
import { downloadFiles, downloadToStdout } from '../../services/download.ts';

export default class Download extends BulkCommand {
  static override readonly summary = 'Download objects.';
  static override readonly description = [
    '--output is a folder when it ends in "/", exists as one, or when more than one file comes. Objects are placed there by the last part of their keys, or by the whole key where those of several are the same; with --recursive, everything below KEY by its path below it.',
    'A file appears under its name only when it is whole: up to 32 MiB with the MD5 or SHA-256 that the provider tells, larger ones, which come in ranges, from one ETag to the last byte. No key leads outside of --output.',
    '--output - writes one object to stdout as it comes, and everything else to stderr. When it turns out to be incomplete, or not what the provider said, the exit status is 1.',
  ].join('\n\n');
  static override readonly examples = [
    { description: 'One object', command: '<%= config.bin %> <%= command.id %> uploads/file.pdf --output ./local_file.pdf' },
    { description: 'Several objects', command: '<%= config.bin %> <%= command.id %> uploads/a.pdf uploads/b.pdf --output ./downloads/' },
    { description: 'Everything below a prefix', command: '<%= config.bin %> <%= command.id %> uploads/2024 --output ./2024 --recursive' },
    { description: 'Only what is new or different', command: '<%= config.bin %> <%= command.id %> uploads -o ./copy -r --update' },
    { description: 'Into another command', command: '<%= config.bin %> <%= command.id %> backups/app.sql --output - | psql app' },
    { description: 'Of another bucket', command: '<%= config.bin %> <%= command.id %> uploads/file.pdf --bucket my-bucket -o ./file.pdf' },
  ];
  static override readonly args = {
    key: Args.string({ ignoreStdin: true, description: 'Keys, or with --recursive prefixes.', required: true, multiple: true }),
  };
  static override readonly usage = '<%= command.id %> KEY... --output PATH [--recursive]';
  static override readonly flags = {
    output: Flags.string({ char: 'o', description: 'File or folder to write to; - for stdout.', helpValue: 'PATH', required: true }),
    recursive: Flags.boolean({ char: 'r', description: 'Download everything below each KEY.' }),
    update: Flags.boolean({ char: 'u', description: 'Leave out objects whose file has the same size and bytes.' }),
    resume: Flags.boolean({ description: 'Go on with large files that a run with --resume has begun; keep what is there when stopped.' }),
    ...bulkFlags,
    ...filterFlags,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Download);
    const { output, recursive, update, resume } = flags;
    const note = (text: string): void => this.output.note(text);
    if (output === '-') {
      const [key] = args.key;
      if (key === undefined || args.key.length > 1 || recursive) throw new UsageError('--output - writes one object to stdout.');
      if (update || resume) throw new UsageError('--update and --resume need a file, and --output - writes to stdout.');
      if (this.output.json) throw new UsageError('--json and --output - both need stdout.');
      if (flags.include !== undefined || flags.exclude !== undefined) throw new UsageError('--include and --exclude choose among several.');
      const write = (chunk: Uint8Array, signal: AbortSignal): Promise<boolean> => this.output.bytes(chunk, signal);
      await this.bulk(flags, toStdoutStyle, (session, report, options) =>
        downloadToStdout(session, { key, note, write, ...options }, report),
      );
      return;
    }
    const place = await placeOf(output, args.key, recursive);
    await this.bulk(flags, downloadStyle, (session, report, options) =>
      downloadFiles(session, { keys: args.key, recursive, place, update, resume, note, ...options }, report),
    );
  }
}
