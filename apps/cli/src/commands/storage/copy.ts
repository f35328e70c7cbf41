import { CopyCommand } from '../../copy-command.ts';

export default class Copy extends CopyCommand {
  static override readonly summary = 'Copy objects.';
  static override readonly description =
    'The provider copies the objects: no byte passes through this machine. Content type, metadata and ACL are kept; --acl sets another ACL.';
  static override readonly examples = [
    { description: 'Within the bucket', command: '<%= config.bin %> <%= command.id %> uploads/source.pdf uploads/dest.pdf' },
    {
      description: 'To another bucket',
      command: '<%= config.bin %> <%= command.id %> uploads/file.pdf --to-bucket archive --to-key archives/file.pdf --acl private',
    },
    { description: 'Everything below a prefix', command: '<%= config.bin %> <%= command.id %> uploads/2024 archive/2024 --recursive' },
  ];

  async run(): Promise<void> {
    await this.copyOrMove(false);
  }
}
