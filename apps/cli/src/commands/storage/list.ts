import { StorageCommand } from '../../base-command.ts';
import { withSmallYoungGeneration } from '../../bulk/young-generation.ts';
import { Args, Flags } from '../../oclif.ts';
import { renderList } from '../../render/list.ts';
import { listObjects } from '../../services/list-objects.ts';

export default class List extends StorageCommand {
  static override readonly summary = 'List objects.';
  static override readonly description =
    'Lists every object of the bucket, or those whose keys begin with PREFIX, in the order of their keys: time of the last change, size in bytes, key.';
  static override readonly examples = [
    { description: 'Everything', command: '<%= config.bin %> <%= command.id %>' },
    { description: 'What begins with a prefix, at most 50', command: '<%= config.bin %> <%= command.id %> --limit 50 uploads/2024/' },
    { description: 'One level, as folders', command: '<%= config.bin %> <%= command.id %> uploads/ --delimiter /' },
    { description: 'Keys alone', command: "<%= config.bin %> <%= command.id %> --json | jq -r '.objects[].key'" },
  ];
  static override readonly args = {
    prefix: Args.string({ ignoreStdin: true, description: 'Beginning of the keys.', default: '', noCacheDefault: false }),
  };
  static override readonly flags = {
    limit: Flags.integer({ char: 'n', min: 1, description: 'Show at most this many.', helpValue: 'N' }),
    recursive: Flags.boolean({ char: 'r', description: 'Show all levels, which is the default.', exclusive: ['delimiter'] }),
    delimiter: Flags.string({ char: 'd', description: 'Show keys that share the part up to the next delimiter as one.', helpValue: '/' }),
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
