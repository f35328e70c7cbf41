import { CopyCommand } from '../../copy-command.ts';

export default class Move extends CopyCommand {
  static override readonly summary = 'Move or rename objects.';
  static override readonly description =
    'The provider copies each object; the original is deleted once the copy exists. Content type, metadata and ACL are kept; --acl sets another ACL.';
  static override readonly examples = [
    { description: 'Rename', command: '<%= config.bin %> <%= command.id %> uploads/old_name.pdf uploads/new_name.pdf' },
    {
      description: 'To another key, with another ACL',
      command: '<%= config.bin %> <%= command.id %> uploads/temp/file.pdf uploads/permanent/file.pdf --acl private',
    },
    { description: 'Everything below a prefix', command: '<%= config.bin %> <%= command.id %> uploads/temp uploads/permanent --recursive' },
  ];

  async run(): Promise<void> {
    await this.copyOrMove(true);
  }
}
