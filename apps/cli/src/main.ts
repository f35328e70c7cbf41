import { asksFor, asksForHelp, knownCommand } from './arguments.ts';
import { collectGarbageAtExit } from './collect-garbage-at-exit.ts';
import { interruptSignal } from './interrupt.ts';
import { runKnown } from './known-command.ts';
import type { Program } from './known-command.ts';
import { silent } from './oclif-logger.ts';
import { run } from './oclif.ts';
import { Output } from './output.ts';
import { exitCodeOf, problemOf, ReportedError, UsageError } from './problem.ts';
import { settingsOf } from './settings.ts';
import { shareInvocation } from './shared.ts';
import { wrongCommand } from './wrong-command.ts';

/** One invocation, from its arguments to its exit status. */
export async function main(args: readonly string[], program: Program): Promise<never> {
  collectGarbageAtExit();
  const signal = interruptSignal();
  const output = new Output({ json: asksFor('--json', args), signal });
  shareInvocation({ output, signal });
  try {
    await runCommand(args, program);
  } catch (error) {
    if (!isHelp(error)) {
      process.exitCode = exitCodeOf(error);
      report(error, output);
    }
  }
  await output.end();
  return process.exit();
}

async function runCommand(args: readonly string[], program: Program): Promise<void> {
  const settings = settingsOf(import.meta.url);
  const command = knownCommand(args, settings.commands);
  if (command === undefined) {
    const message = wrongCommand(args, settings.commands);
    if (message !== undefined) throw new UsageError(message);
  }
  // oxlint-disable-next-line node/no-process-env -- oclif's variable, which configures nothing
  const isQuiet = process.env['DEBUG'] === undefined;
  if (command !== undefined && isQuiet && !asksForHelp(args)) {
    await runKnown({ command, args: args.slice(command.split(' ').length) }, settings, program);
    return;
  }
  // No user plugins: oclif would look for them in COFFER_DATA_DIR, the name that it gives its own data folder. The other plugins
  // serve help of topics and completion; loading them takes as long as many commands do.
  const { root, pjson } = settings;
  await run([...args], {
    root,
    userPlugins: false,
    ...(isQuiet && { logger: silent }),
    pjson: command === undefined ? pjson : { ...pjson, oclif: { ...pjson.oclif, plugins: [] } },
  });
}

function report(thrown: unknown, output: Output): void {
  const isReported = thrown instanceof ReportedError;
  const error = isReported ? thrown.cause : thrown;
  if (!isReported) output.document({ error: problemOf(error) });
  output.error(error);
  // oxlint-disable-next-line node/no-process-env -- asks for the stack of an error, and configures nothing
  if (process.env['COFFER_DEBUG'] && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
}

/** oclif ends a command that has printed its help by throwing. */
function isHelp(error: unknown): boolean {
  return error instanceof Error && 'oclif' in error && (error.oclif as { readonly exit?: number }).exit === 0;
}
