import { StorageCommand } from '../../base-command.ts';
import { configurationJson, configurationTable } from '../../render/configuration.ts';

export default class Info extends StorageCommand {
  static override readonly summary = 'Show the configuration that is in effect.';
  static override readonly description =
    'Every variable with its value and where that comes from: set in the environment, the default, or derived from other variables. Of secrets it shows only that they are set. Nothing is connected to; "check" does that.';
  static override readonly examples = [
    '<%= config.bin %> <%= command.id %>',
    {
      description: 'What is set',
      command: `<%= config.bin %> <%= command.id %> --json | jq '.variables | map_values(select(.source == "environment").value)'`,
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
