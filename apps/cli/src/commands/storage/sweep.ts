import { storageError } from '@coffer/storage-core';

import { StorageCommand } from '../../base-command.ts';
import { Flags } from '../../oclif.ts';
import { sweptJson, sweptText } from '../../render/swept.ts';
import { countText } from '../../render/units.ts';
import { sweep } from '../../services/sweep.ts';

const day = 86_400;

export default class Sweep extends StorageCommand {
  static override readonly summary = 'Remove what was begun and never finished.';
  static override readonly description = [
    "What processes that were killed left at the provider: multipart uploads that nobody ends, in the default, the shared and the tenants' buckets, the buckets in which they tried out the endpoint, and on the local disk bytes that belong to no object. Where there is a database also presigned uploads that nobody completed, and what deleted and moved files left behind; without one, tenants' buckets are not known.",
    'With --bucket, what lies in just that bucket goes: multipart uploads, whoever began them, on the local disk bytes that belong to no object; and nothing of files.',
    'A running server does this every hour. Several processes may do it at once.',
  ].join('\n\n');
  static override readonly examples = [
    { description: 'What would go', command: '<%= config.bin %> <%= command.id %> --dry-run' },
    { description: 'What is older than a day', command: '<%= config.bin %> <%= command.id %>' },
    { description: 'What is older than an hour', command: '<%= config.bin %> <%= command.id %> --older-than 3600' },
    { description: 'Unfinished uploads of another bucket', command: '<%= config.bin %> <%= command.id %> --bucket backups' },
  ];
  static override readonly flags = {
    'dry-run': Flags.boolean({ description: 'Only count.' }),
    'older-than': Flags.integer({
      description: 'Leave what is younger than this: it may still be under way.',
      helpValue: 'SECONDS',
      default: day,
      min: 0,
    }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Sweep);
    const { 'older-than': olderThan, bucket } = flags;
    const dryRun = flags['dry-run'] === true;
    const request = { olderThan, dryRun, bucket };
    const database = bucket === undefined && 'existing';
    const swept = await this.withSession(flags, (session) => sweep(session, request), { database, doing: 'sweeping' });
    this.output.document({ dry_run: dryRun, ...sweptJson(swept) });
    this.output.line(sweptText(swept, request));
    const retained = swept.files?.retained ?? 0;
    if (retained === 0) return;
    process.exitCode = 1;
    const message = `What ${countText(retained, 'file')} left behind was kept by the provider, or by a table that refers to it; the next sweep tries again.`;
    this.output.error(storageError('storage_unavailable', message));
  }
}
