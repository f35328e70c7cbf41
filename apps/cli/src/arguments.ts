import { UsageError } from './problem.ts';

/** Whether a flag is given. After `--`, everything is an argument. */
export function asksFor(flag: string, args: readonly string[]): boolean {
  return beforeDashes(args).includes(flag);
}

/** `--help`, or `-h` as package.json declares it to oclif. */
export function asksForHelp(args: readonly string[]): boolean {
  return asksFor('--help', args) || asksFor('-h', args);
}

/** The longest command that the arguments begin with. */
export function knownCommand(args: readonly string[], commands: readonly string[]): string | undefined {
  const matching = commands.filter((command) => startsWith(args, command.split(' ')));
  return matching.sort((a, b) => b.length - a.length)[0];
}

interface FlagShape {
  readonly type: string;
  readonly aliases?: readonly string[] | undefined;
}

/**
 * Refuses a value for a flag that takes none. oclif would take the value for an argument: `delete KEY --confirm=false` would
 * delete KEY, and an object named "false".
 * @throws UsageError
 */
export function assertSwitches(args: readonly string[], flags: Readonly<Record<string, FlagShape>>): void {
  const switches = Object.entries(flags).filter(([, { type }]) => type === 'boolean');
  const names = new Set(switches.flatMap(([name, { aliases = [] }]) => [name, ...aliases]));
  for (const arg of beforeDashes(args)) {
    const [, name] = /^--([^=]+)=/.exec(arg) ?? [];
    if (name !== undefined && names.has(name)) throw new UsageError(`--${name} takes no value.`);
  }
}

function beforeDashes(args: readonly string[]): readonly string[] {
  const end = args.indexOf('--');
  return end < 0 ? args : args.slice(0, end);
}

function startsWith(args: readonly string[], words: readonly string[]): boolean {
  return words.every((word, index) => args[index] === word);
}
