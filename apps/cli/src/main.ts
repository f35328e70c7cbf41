import { interruptSignal } from './interrupt.ts';
import { knownCommand, settingsOf, unfinishedCommand, unknownCommand } from './invocation.ts';
import { runKnown } from './known-command.ts';
import { silent } from './oclif-logger.ts';
import { run } from './oclif.ts';
import { Output } from './output.ts';
import { exitCodeOf, problemOf, ToldError, UsageError } from './problem.ts';
import { shareInvocation } from './shared.ts';

/** One invocation, from its arguments to its exit status. */
async function main(args: readonly string[]): Promise<never> {
  const output = new Output({ json: asksFor('--json', args) });
  shareInvocation({ output, signal: interruptSignal() });
  try {
    await runCommand(args, output);
  } catch (error) {
    if (!isHelp(error)) {
      process.exitCode = exitCodeOf(error);
      tell(error, output);
    }
  }
  await output.end();
  return process.exit();
}

async function runCommand(args: readonly string[], output: Output): Promise<void> {
  const settings = settingsOf(import.meta.url);
  const known = knownCommand(args, settings);
  if (known === undefined) {
    const message = unknownCommand(args, settings) ?? (output.json ? unfinishedCommand(args) : undefined);
    // A person is asked by oclif's plugin whether he meant another one.
    if (message !== undefined && (output.json || !process.stdin.isTTY || !process.stderr.isTTY)) throw new UsageError(message);
  }
  // oxlint-disable-next-line node/no-process-env -- oclif's variable, which configures nothing
  const isQuiet = process.env['DEBUG'] === undefined;
  if (known !== undefined && isQuiet && !asksFor('--help', args)) {
    await runKnown({ command: known, args: args.slice(known.split(' ').length) }, settings);
    return;
  }
  // None of the user's plugins: oclif would look for them in COFFER_DATA_DIR, for it names its own folder so.
  // The others are for help of topics, completion and unknown commands; loading them takes as long as many a command.
  const { root, pjson } = settings;
  await run([...args], {
    root,
    userPlugins: false,
    ...(isQuiet && { logger: silent }),
    pjson: known === undefined ? pjson : { ...pjson, oclif: { ...pjson.oclif, plugins: [] } },
  });
}

function tell(thrown: unknown, output: Output): void {
  const isTold = thrown instanceof ToldError;
  const error = isTold ? thrown.cause : thrown;
  if (!isTold) output.document({ error: problemOf(error) });
  output.error(error);
  // oxlint-disable-next-line node/no-process-env -- asks for the stack of an error, and configures nothing
  if (process.env['COFFER_DEBUG'] && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
}

function asksFor(flag: string, args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end < 0 ? args : args.slice(0, end)).includes(flag);
}

/** oclif ends a command that has printed its help by throwing. */
function isHelp(error: unknown): boolean {
  return error instanceof Error && 'oclif' in error && (error.oclif as { readonly exit?: number }).exit === 0;
}

await main(process.argv.slice(2));
