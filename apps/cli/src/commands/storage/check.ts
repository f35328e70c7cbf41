import { StorageCommand } from '../../base-command.ts';
import { checkLine } from '../../render/check.ts';
import { JsonDocument } from '../../render/json-document.ts';
import { runChecks } from '../../services/check.ts';

export default class CheckCommand extends StorageCommand {
  static override readonly summary = 'Check that everything configured works.';
  static override readonly description = [
    'Checks the database, the provider and the bucket, and writes, reads and deletes a test object in the bucket. For an S3 endpoint, it also tries out what the endpoint really does, in a temporary bucket if the credentials may create one. Each line begins with "ok", "lacks" (the provider cannot do this; the line says what Coffer does instead), "unknown" (it could not be tried out) or "failed".',
    'The exit status is 1 if anything failed.',
  ].join('\n\n');
  static override readonly examples = [
    '<%= config.bin %> <%= command.id %>',
    { description: "Check a tenant's bucket", command: 'TENANT_ID=acme <%= config.bin %> <%= command.id %>' },
    {
      description: 'Only what failed',
      command: `<%= config.bin %> <%= command.id %> --json | jq '.checks[]|select(.status=="failed")'`,
    },
  ];

  async run(): Promise<void> {
    const { flags } = await this.parse(CheckCommand);
    const { output, signal } = this;
    const document = new JsonDocument(output);
    const { bucket, explain } = flags;
    const options = { signal, explain, note: (text: string) => output.note(text), bucket };
    let failures = 0;
    await document.guard(async () => {
      for await (const result of runChecks(this.environment, options)) {
        if (result.status === 'failed') failures += 1;
        if (output.json) document.array('checks', [result]);
        else output.line(checkLine(result));
      }
      if (output.json) document.value('ok', failures === 0);
    });
    if (failures > 0) process.exitCode = 1;
  }
}
