import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Config } from './oclif.ts';
import { UsageError } from './problem.ts';

export interface Settings {
  /** The folder of this package. */
  readonly root: string;
  readonly pjson: Config['pjson'];
  /** Words of each command: `storage buckets list`. */
  readonly commands: readonly string[];
}

/** Commands of oclif's plugins. */
const pluginCommands: ReadonlySet<string | undefined> = new Set(['help', 'autocomplete']);

/** Flags of every command that take no value. What follows any other may be its value, whatever it looks like. */
const switches: ReadonlySet<string> = new Set(['--json', '--explain']);

interface Manifest {
  readonly commands: Readonly<Record<string, { readonly hidden?: boolean }>>;
}

/** @param here URL of a file in `dist` */
export function settingsOf(here: string): Settings {
  const root = dirname(dirname(fileURLToPath(here)));
  const read = (name: string): unknown => JSON.parse(readFileSync(join(root, name), 'utf8'));
  const { commands } = read('oclif.manifest.json') as Manifest;
  return {
    root,
    pjson: read('package.json') as Config['pjson'],
    commands: Object.keys(commands).map((id) => id.replaceAll(':', ' ')),
  };
}

/** Whether a flag is given: behind `--`, everything is an argument. */
export function asksFor(flag: string, args: readonly string[]): boolean {
  return beforeDashes(args).includes(flag);
}

/** As package.json tells oclif. */
export function asksForHelp(args: readonly string[]): boolean {
  return asksFor('--help', args) || asksFor('-h', args);
}

/** The longest command that the arguments begin with. */
export function knownCommand(args: readonly string[], { commands }: Pick<Settings, 'commands'>): string | undefined {
  const matching = commands.filter((command) => startsWith(args, command.split(' ')));
  return matching.sort((a, b) => b.length - a.length)[0];
}

/** What commands are called by the tools for S3 that people come from: aws, s5cmd, mc, rclone; and words that mean the same. */
const elsewhere: ReadonlyMap<string, string> = new Map([
  ['ls', 'list'],
  ['rm', 'delete'],
  ['remove', 'delete'],
  ['mv', 'move'],
  ['cp', 'copy'],
  ['mb', 'buckets create'],
  ['rb', 'buckets delete'],
  ['put', 'upload'],
  ['get', 'download'],
]);

/** What to say of arguments that begin with no command, topic or flag. */
export function unknownCommand(args: readonly string[], { commands }: Settings): string | undefined {
  const words = wordsBeforeFlags(args);
  const isTopic = commands.some((command) => words.length === 0 || `${command} `.startsWith(`${words.join(' ')} `));
  if (isTopic || pluginCommands.has(words[0])) return undefined;
  const translated = words.flatMap((word) => elsewhere.get(word)?.split(' ') ?? [word]);
  const readings = [translated, ['storage', ...translated]];
  const known = new Set(commands.flatMap((command) => command.split(' ')));
  const [best] = commands
    .map((command) => ({ command, distance: Math.min(...readings.map((reading) => distanceTo(command, reading, known))) }))
    .sort((a, b) => a.distance - b.distance);
  const meant = best !== undefined && best.distance <= mistakesIn(best.command) ? `; did you mean "${best.command}"?` : '.';
  const said = words.slice(0, 3).join(' ');
  return `"${said}" is not a coffer command${meant} "coffer help" lists all commands.`;
}

/** As many as somebody makes who means this command. The word that all begin with is not counted: what is unlike the others is no slip. */
function mistakesIn(command: string): number {
  return Math.max(2, command.replace(/^storage /, '').length / 3);
}

/** @param known words of commands: who writes one means it, and no other that is like it, as "create" is like "delete" */
function distanceTo(command: string, words: readonly string[], known: ReadonlySet<string>): number {
  const own = command.split(' ');
  const compared = words.slice(0, own.length);
  const isAnother = compared.some((word, index) => known.has(word) && word !== own[index]);
  return isAnother ? Infinity : distance(compared.join(' '), command);
}

/**
 * What to say of arguments with a flag where the words of a command belong; undefined without one, and where oclif has an
 * answer: help and version. oclif would show help of the words before it, as if nothing else had been asked for.
 */
export function misplacedFlag(args: readonly string[], { commands }: Settings): string | undefined {
  const before = wordsBeforeFlags(args);
  if (before.length === args.length || asksForHelp(args) || args[0] === '--version' || pluginCommands.has(args[0])) return undefined;
  const words = [...args.keys()].filter((index) => isWord(args, index));
  const command = knownCommand(
    words.map((index) => args[index] ?? ''),
    { commands },
  );
  if (command === undefined)
    return `No command is given. Write the words of the command first, then the flags. "${['coffer', ...before, '--help'].join(' ')}" lists the commands.`;
  const end = (words[command.split(' ').length - 1] ?? 0) + 1;
  const flags = args.slice(0, end).filter((_, index) => !words.includes(index));
  const rest = args.length > end ? ' …' : '';
  return `Write the words of the command first, then the flags: "${['coffer', command, ...flags].join(' ')}${rest}".`;
}

interface FlagShape {
  readonly type: string;
  readonly aliases?: readonly string[] | undefined;
}

/**
 * oclif takes the value for an argument: `delete KEY --confirm=false` would delete KEY, and an object of the name "false".
 * @throws UsageError for a flag without value that is given one
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

function wordsBeforeFlags(args: readonly string[]): readonly string[] {
  const flag = args.findIndex((arg) => arg.startsWith('-'));
  return flag < 0 ? args : args.slice(0, flag);
}

function isWord(args: readonly string[], index: number): boolean {
  const [previous = '', arg = ''] = [args[index - 1], args[index]];
  const mayBeValue = previous.startsWith('-') && !previous.includes('=') && !switches.has(previous);
  return !arg.startsWith('-') && !mayBeValue;
}

function startsWith(args: readonly string[], words: readonly string[]): boolean {
  return words.every((word, index) => args[index] === word);
}

/** How many letters must be put in, left out or changed to make one of the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
