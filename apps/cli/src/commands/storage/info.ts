import { StorageCommand } from '../../base-command.ts';
import { configurationJson, configurationTable } from '../../render/configuration.ts';

export default class Info extends StorageCommand {
  static override readonly summary = 'Show the configuration in effect.';
  static override readonly description =
    'Shows every variable, its value and where the value comes from: set in the environment, the default, or derived from other variables. For secrets, it shows only that they are set. It connects to nothing; "check" does that.';
  static override readonly examples = [
    '<%= config.bin %> <%= command.id %>',
    {
      description: 'Only what is set in the environment',
      command: `<%= config.bin %> <%= command.id %> --json | jq '.variables|map_values(select(.source=="environment").value)'`,
    },
  ];

  async run(): Promise<void> {
    await this.parse(Info);
    const { describeConfig, parseConfig } = await import('@coffer/runtime');
    const config = parseConfig(this.environment, { serve: false });
    const groups = describeConfig(config);
    this.output.document({ version: this.config.version, variables: configurationJson(groups), warnings: config.warnings });
    this.output.line(configurationTable(groups));
    if (!this.output.json) for (const warning of config.warnings) this.output.note(`warning: ${warning}`);
  }
}
