import { StorageCommand } from '../../base-command.ts';
import { Args, Flags } from '../../oclif.ts';
import { UsageError } from '../../problem.ts';
import { presignedJson, uploadCommand } from '../../render/presigned.ts';
import { countText } from '../../render/units.ts';
import { presign } from '../../services/presign.ts';

export default class Presign extends StorageCommand {
  static override readonly summary = 'Create a URL that works without credentials.';
  static override readonly description = [
    'Prints a URL that anybody can download the object from until it expires. With --put, prints a URL that a file can be uploaded to, and on stderr a curl command that does so, with the headers the upload needs.',
    'The Coffer server serves the URLs of the local backend; it must run on the same data directory.',
  ].join('\n\n');
  static override readonly examples = [
    { description: 'A download link for one hour', command: '<%= config.bin %> <%= command.id %> reports/2024.pdf --expires 3600' },
    {
      description: 'A URL for somebody else to upload to',
      command: '<%= config.bin %> <%= command.id %> inbox/scan.pdf --put --content-type application/pdf',
    },
    { description: 'The same as JSON, for a program', command: '<%= config.bin %> <%= command.id %> inbox/scan.pdf --put --json' },
  ];
  static override readonly args = { key: Args.string({ ignoreStdin: true, description: 'Key of the object.', required: true }) };
  static override readonly flags = {
    put: Flags.boolean({ description: 'Create a URL for an upload instead of a download.' }),
    expires: Flags.integer({
      description: 'Seconds until the URL expires, at most 604800 (7 days). Default: STORAGE_PRESIGN_EXPIRES.',
      helpValue: 'SECONDS',
      min: 1,
    }),
    'content-type': Flags.string({ description: 'Accept only this media type.', helpValue: 'TYPE', dependsOn: ['put'] }),
    size: Flags.integer({ description: 'Accept only this size.', helpValue: 'BYTES', min: 0, dependsOn: ['put'] }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Presign);
    const { put, expires, size, 'content-type': contentType } = flags;
    if (args.key === '') throw new UsageError('KEY must not be empty.');
    await this.withSession(flags, async (session) => {
      const presigned = await presign(session, { key: args.key, put, expires, size, contentType });
      const { expiresIn } = presigned;
      this.output.document(presignedJson(presigned));
      this.output.line(presigned.url);
      if (put) this.output.note(`Upload with: ${uploadCommand(presigned)}`);
      const until = new Date(Date.now() + expiresIn * 1000).toISOString().slice(0, 19);
      const clamped = expires !== undefined && expiresIn < expires ? `, the longest that is possible` : '';
      this.output.note(`The URL works for ${countText(expiresIn, 'second')}${clamped}, until ${until}Z.`);
      const { storage, server } = session.config;
      if (storage.backend === 'local')
        this.output.note(`It works only while a Coffer server runs on this data directory, at ${server.publicUrl} (PUBLIC_URL).`);
    });
  }
}
