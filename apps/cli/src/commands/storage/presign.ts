import { StorageCommand } from '../../base-command.ts';
import { Args, Flags } from '../../oclif.ts';
import { presignedJson, uploadCommand } from '../../render/presigned.ts';
import { countText } from '../../render/units.ts';
import { presign } from '../../services/presign.ts';

export default class Presign extends StorageCommand {
  static override readonly summary = 'Make a URL that works without credentials.';
  static override readonly description = [
    'Prints a URL that downloads the object from wherever it is opened, until it expires; with --put one that a file is uploaded to as the object, and on stderr a curl command that does so, with the headers that it takes.',
    "URLs of the local backend are served by Coffer's own server, which has to run on the same data directory.",
  ].join('\n\n');
  static override readonly examples = [
    { description: 'A link for an hour', command: '<%= config.bin %> <%= command.id %> reports/2024.pdf --expires 3600' },
    {
      description: 'Somebody else uploads',
      command: '<%= config.bin %> <%= command.id %> inbox/scan.pdf --put --content-type application/pdf',
    },
    { description: 'For a program', command: '<%= config.bin %> <%= command.id %> inbox/scan.pdf --put --json' },
  ];
  static override readonly args = { key: Args.string({ ignoreStdin: true, description: 'Key of the object.', required: true }) };
  static override readonly flags = {
    put: Flags.boolean({ description: 'For uploading, instead of downloading.' }),
    expires: Flags.integer({
      description: 'Seconds until it expires, at most 604800 (7 days). Default: STORAGE_PRESIGN_EXPIRES.',
      helpValue: 'SECONDS',
      min: 1,
    }),
    'content-type': Flags.string({ description: 'The only media type that is accepted.', helpValue: 'TYPE', dependsOn: ['put'] }),
    size: Flags.integer({ description: 'The only size that is accepted.', helpValue: 'BYTES', min: 0, dependsOn: ['put'] }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Presign);
    const { put, expires, size, 'content-type': contentType } = flags;
    await this.withSession(flags, async (session) => {
      const presigned = await presign(session, { key: args.key, put, expires, size, contentType });
      const { expiresIn } = presigned;
      this.output.document(presignedJson(presigned));
      this.output.line(presigned.url);
      if (put) this.output.note(`Upload with: ${uploadCommand(presigned)}`);
      const until = new Date(Date.now() + expiresIn * 1000).toISOString().slice(0, 19);
      const clamped = expires !== undefined && expiresIn < expires ? `, which is the longest there is` : '';
      this.output.note(`It works for ${countText(expiresIn, 'second')}${clamped}, until ${until}Z.`);
      const { storage, server } = session.config;
      if (storage.backend === 'local')
        this.output.note(`It is served by the Coffer server of this data directory at ${server.publicUrl} (PUBLIC_URL), while that runs.`);
    });
  }
}
