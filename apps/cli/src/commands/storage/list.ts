import { StorageCommand } from '../../base-command.ts';
import { withSmallYoungGeneration } from '../../bulk/young-generation.ts';
import { Args, Flags } from '../../oclif.ts';
import { renderList } from '../../render/list.ts';
import { listObjects } from '../../services/list-objects.ts';

export default class List extends StorageCommand {
  static override readonly summary = 'List objects.';
  static override readonly description =
    'Lists every object in the bucket, or only those whose keys begin with PREFIX, in key order. Each line shows the time of the last change, the size in bytes and the key.';
  static override readonly examples = [
    { description: 'Everything', command: '<%= config.bin %> <%= command.id %>' },
    { description: 'At most 50 keys that begin with a prefix', command: '<%= config.bin %> <%= command.id %> --limit 50 uploads/2024/' },
    { description: 'One level, as folders', command: '<%= config.bin %> <%= command.id %> uploads/ --delimiter /' },
    { description: 'Only the keys', command: "<%= config.bin %> <%= command.id %> --json | jq -r '.objects[].key'" },
  ];
  static override readonly args = {
    prefix: Args.string({ ignoreStdin: true, description: 'List only keys that begin with this.', default: '', noCacheDefault: false }),
  };
  static override readonly flags = {
    limit: Flags.integer({ char: 'n', min: 1, description: 'Show at most N entries.', helpValue: 'N' }),
    recursive: Flags.boolean({ char: 'r', description: 'List all levels (the default).', exclusive: ['delimiter'] }),
    delimiter: Flags.string({
      char: 'd',
      description: 'Show keys that are the same up to the next delimiter as one entry.',
      helpValue: '/',
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(List);
    const { limit, delimiter } = flags;
    await this.withSession(flags, async (session) => {
      const pages = listObjects(session, { prefix: args.prefix, limit, delimiter });
      await withSmallYoungGeneration(() => renderList(pages, this.output));
    });
  }
}
