import { interruptSignal } from './interrupt.ts';
import { asksFor, asksForHelp, knownCommand, misplacedFlag, settingsOf, unknownCommand } from './invocation.ts';
import { runKnown } from './known-command.ts';
import type { Program } from './known-command.ts';
import { silent } from './oclif-logger.ts';
import { run } from './oclif.ts';
import { Output } from './output.ts';
import { exitCodeOf, problemOf, ToldError, UsageError } from './problem.ts';
import { shareInvocation } from './shared.ts';
import type { Invocation } from './shared.ts';

/** One invocation, from its arguments to its exit status. */
export async function main(args: readonly string[], program: Program): Promise<never> {
  const signal = interruptSignal();
  const output = new Output({ json: asksFor('--json', args), signal });
  shareInvocation({ output, signal });
  try {
    await runCommand(args, { output, signal, program });
  } catch (error) {
    if (!isHelp(error)) {
      process.exitCode = exitCodeOf(error);
      tell(error, output);
    }
  }
  await output.end();
  return process.exit();
}

async function runCommand(args: readonly string[], { output, signal, program }: Invocation & { readonly program: Program }): Promise<void> {
  const settings = settingsOf(import.meta.url);
  const known = knownCommand(args, settings);
  if (known === undefined) {
    const unknown = unknownCommand(args, settings);
    // A person is asked by oclif's plugin whether he meant another one.
    const isAsked = unknown !== undefined && !output.json && process.stdin.isTTY && process.stderr.isTTY;
    const message = unknown ?? misplacedFlag(args, settings);
    if (message !== undefined && !isAsked) throw new UsageError(message);
    if (isAsked) hearInterruptAtQuestion();
  }
  // oxlint-disable-next-line node/no-process-env -- oclif's variable, which configures nothing
  const isQuiet = process.env['DEBUG'] === undefined;
  if (known !== undefined && isQuiet && !asksForHelp(args)) {
    await runKnown({ command: known, args: args.slice(known.split(' ').length) }, { settings, program });
    return;
  }
  // None of the user's plugins: oclif would look for them in COFFER_DATA_DIR, for it names its own folder so.
  // The others are for help of topics, completion and unknown commands; loading them takes as long as many a command.
  const { root, pjson } = settings;
  try {
    await run([...args], {
      root,
      userPlugins: false,
      ...(isQuiet && { logger: silent }),
      pjson: known === undefined ? pjson : { ...pjson, oclif: { ...pjson.oclif, plugins: [] } },
    });
  } catch (error) {
    // The plugin takes Ctrl-C at its question for a no.
    if (known === undefined) signal.throwIfAborted();
    throw error;
  }
}

/** While a terminal is asked a question, its Ctrl-C is a key like others, and no signal comes of it. */
function hearInterruptAtQuestion(): void {
  process.stdin.on('keypress', (_text, key: { readonly ctrl: boolean; readonly name?: string }) => {
    if (key.ctrl && key.name === 'c') process.emit('SIGINT');
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

/** oclif ends a command that has printed its help by throwing. */
function isHelp(error: unknown): boolean {
  return error instanceof Error && 'oclif' in error && (error.oclif as { readonly exit?: number }).exit === 0;
}
