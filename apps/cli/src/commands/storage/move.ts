import { CopyCommand } from '../../copy-command.ts';

export default class Move extends CopyCommand {
  static override readonly summary = 'Move or rename objects.';
  static override readonly description =
    'Each object is copied by the provider, and deleted at its old place once the copy is there. Content type, metadata and ACL come along, unless --acl says another one.';
  static override readonly examples = [
    { description: 'Rename', command: '<%= config.bin %> <%= command.id %> uploads/old_name.pdf uploads/new_name.pdf' },
    {
      description: 'To another place with another ACL',
      command: '<%= config.bin %> <%= command.id %> uploads/temp/file.pdf uploads/permanent/file.pdf --acl private',
    },
    { description: 'Everything below a prefix', command: '<%= config.bin %> <%= command.id %> uploads/temp uploads/permanent --recursive' },
  ];

  async run(): Promise<void> {
    await this.copyOrMove(true);
  }
}
