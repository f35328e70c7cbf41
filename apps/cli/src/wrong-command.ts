import { distance } from 'fastest-levenshtein';

import { asksForHelp, knownCommand } from './arguments.ts';

/** Commands of oclif's plugins. */
const pluginCommands: ReadonlySet<string | undefined> = new Set(['help', 'autocomplete']);

/** Flags of every command that take no value. The argument after any other flag may be its value. */
const switches: ReadonlySet<string> = new Set(['--json', '--explain']);

/** Names that other S3 tools (aws, s5cmd, mc, rclone) give to these commands, and synonyms. */
const synonyms: ReadonlyMap<string, string> = new Map([
  ['ls', 'list'],
  ['rm', 'delete'],
  ['remove', 'delete'],
  ['mv', 'move'],
  ['cp', 'copy'],
  ['mb', 'buckets create'],
  ['rb', 'buckets delete'],
  ['put', 'upload'],
  ['get', 'download'],
  ['cat', 'download'],
  ['pipe', 'upload'],
]);

/** What to answer to arguments that name no command; undefined where oclif has an answer itself (help, topics, version). */
export function wrongCommand(args: readonly string[], commands: readonly string[]): string | undefined {
  return unknownCommand(args, commands) ?? misplacedFlag(args, commands);
}

/** For arguments that begin with no command, topic or flag. */
function unknownCommand(args: readonly string[], commands: readonly string[]): string | undefined {
  const words = wordsBeforeFlags(args);
  const isTopic = commands.some((command) => words.length === 0 || `${command} `.startsWith(`${words.join(' ')} `));
  if (isTopic || pluginCommands.has(words[0])) return undefined;
  const translated = words.flatMap((word) => synonyms.get(word)?.split(' ') ?? [word]);
  const candidates = [translated, ['storage', ...translated]];
  const knownWords = new Set(commands.flatMap((command) => command.split(' ')));
  const [best] = commands
    .map((command) => ({ command, distance: Math.min(...candidates.map((candidate) => distanceTo(command, candidate, knownWords))) }))
    .sort((a, b) => a.distance - b.distance);
  const suggestion = best !== undefined && best.distance <= maxMistakes(best.command) ? `; did you mean "${best.command}"?` : '.';
  const typed = words.slice(0, 3).join(' ');
  return `"${typed}" is not a coffer command${suggestion} "coffer help" lists all commands.`;
}

/** How many letters a misspelling of this command may get wrong. The word `storage`, which all commands share, does not count. */
function maxMistakes(command: string): number {
  return Math.max(2, command.replace(/^storage /, '').length / 3);
}

/** @param knownWords the words of all commands: a word that is one of them is no misspelling of another ("create" resembles "delete") */
function distanceTo(command: string, words: readonly string[], knownWords: ReadonlySet<string>): number {
  const expected = command.split(' ');
  const actual = words.slice(0, expected.length);
  const isOtherCommand = actual.some((word, index) => knownWords.has(word) && word !== expected[index]);
  return isOtherCommand ? Infinity : distance(actual.join(' '), command);
}

/** For a flag among the words of the command, for which oclif would only print the help of the words before it. */
function misplacedFlag(args: readonly string[], commands: readonly string[]): string | undefined {
  const before = wordsBeforeFlags(args);
  if (before.length === args.length || asksForHelp(args) || args[0] === '--version' || pluginCommands.has(args[0])) return undefined;
  const words = [...args.keys()].filter((index) => isWord(args, index));
  const command = knownCommand(
    words.map((index) => args[index] ?? ''),
    commands,
  );
  if (command === undefined)
    return `No command is given. Write the words of the command first, then the flags. "${['coffer', ...before, '--help'].join(' ')}" lists the commands.`;
  const end = (words[command.split(' ').length - 1] ?? 0) + 1;
  const flags = args.slice(0, end).filter((_, index) => !words.includes(index));
  const rest = args.length > end ? ' …' : '';
  return `Write the words of the command first, then the flags: "${['coffer', command, ...flags].join(' ')}${rest}".`;
}

function wordsBeforeFlags(args: readonly string[]): readonly string[] {
  const flag = args.findIndex((arg) => arg.startsWith('-'));
  return flag < 0 ? args : args.slice(0, flag);
}

/** Whether an argument is neither a flag nor perhaps the value of one. */
function isWord(args: readonly string[], index: number): boolean {
  const [previous = '', arg = ''] = [args[index - 1], args[index]];
  const mayBeValue = previous.startsWith('-') && !previous.includes('=') && !switches.has(previous);
  return !arg.startsWith('-') && !mayBeValue;
}
