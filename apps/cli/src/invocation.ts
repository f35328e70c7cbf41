import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Config } from './oclif.ts';

export interface Settings {
  /** The folder of this package. */
  readonly root: string;
  readonly pjson: Config['pjson'];
  /** Words of each command: `storage buckets list`. */
  readonly commands: readonly string[];
}

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

/** The longest command that the arguments begin with. */
export function knownCommand(args: readonly string[], { commands }: Settings): string | undefined {
  const matching = commands.filter((command) => startsWith(args, command.split(' ')));
  return matching.sort((a, b) => b.length - a.length)[0];
}

/** What to say of arguments that begin with no command, topic or flag; undefined where oclif has an answer: help. */
export function unknownCommand(args: readonly string[], { commands }: Settings): string | undefined {
  const flag = args.findIndex((arg) => arg.startsWith('-'));
  const words = flag < 0 ? args : args.slice(0, flag);
  const isTopic = commands.some((command) => words.length === 0 || `${command} `.startsWith(`${words.join(' ')} `));
  // Commands of oclif's plugins.
  if (isTopic || ['help', 'autocomplete'].includes(words[0] ?? '')) return undefined;
  const [best] = commands
    .map((command) => ({ command, distance: distance(words.slice(0, command.split(' ').length).join(' '), command) }))
    .sort((a, b) => a.distance - b.distance);
  const meant = best !== undefined && best.distance <= Math.max(3, best.command.length / 3) ? `; did you mean "${best.command}"?` : '.';
  const said = words.slice(0, 3).join(' ');
  return `"${said}" is not a command of coffer${meant} "coffer help" lists them all.`;
}

/** What to say, instead of help, where a document is asked for and a topic is all that is named. */
export function unfinishedCommand(args: readonly string[]): string | undefined {
  if (['help', 'autocomplete'].includes(args[0] ?? '') || args.some((arg) => ['--help', '-h', '--version'].includes(arg))) return undefined;
  const words = args.filter((arg) => !arg.startsWith('-'));
  return `No command is named; "${['coffer', ...words, '--help'].join(' ')}" lists them.`;
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
