import { storageError } from '@coffer/storage-core';

import { StorageCommand } from '../../base-command.ts';
import { Flags } from '../../oclif.ts';
import { sweptJson, sweptText } from '../../render/swept.ts';
import { countText } from '../../render/units.ts';
import { sweep } from '../../services/sweep.ts';

const day = 86_400;

export default class Sweep extends StorageCommand {
  static override readonly summary = 'Remove what was started and never finished.';
  static override readonly description = [
    "Removes what killed processes left behind: abandoned multipart uploads in the default bucket, the shared bucket and the tenants' buckets; the buckets that were created to try out the endpoint; and, on the local disk, bytes that belong to no object. If there is a database, it also removes presigned uploads that nobody completed, and what deleted and moved files left behind. Without a database, the tenants' buckets are not known.",
    'With --bucket, it sweeps that bucket only: it removes multipart uploads, whoever started them, and, on the local disk, bytes that belong to no object. It leaves tracked files alone.',
    'A running server does this every hour. Several processes may sweep at the same time.',
  ].join('\n\n');
  static override readonly examples = [
    { description: 'Show what would be removed', command: '<%= config.bin %> <%= command.id %> --dry-run' },
    { description: 'Remove what is older than a day', command: '<%= config.bin %> <%= command.id %>' },
    { description: 'Remove what is older than an hour', command: '<%= config.bin %> <%= command.id %> --older-than 3600' },
    { description: 'Sweep only one bucket', command: '<%= config.bin %> <%= command.id %> --bucket backups' },
  ];
  static override readonly flags = {
    'dry-run': Flags.boolean({ description: 'Only count; remove nothing.' }),
    'older-than': Flags.integer({
      description: 'Leave alone what is younger than this: it may still be in progress.',
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
    const message = `What ${countText(retained, 'file')} left behind could not be removed: the provider refused, as it does without the permission to list and to delete objects, or a table still refers to it. The next sweep tries again.`;
    this.output.error(storageError('storage_unavailable', message));
  }
}
