import { distance } from 'fastest-levenshtein';

import { UsageError } from './problem.ts';

const maxMistakes = 2;

/**
 * Explains oclif's error about flags that a command does not have: which flag was meant, most likely, and where all are listed.
 * @param names the flags that the command has
 * @returns any other error as it is
 */
export function explainUnknownFlag(error: Error, names: readonly string[], command: string): Error {
  const flag = flagsOf(error)[0]?.replace(/=[^]*/, '');
  if (flag === undefined) return error;
  const suggestion = meantBy(flag, names);
  const question = suggestion === undefined ? '.' : `; did you mean --${suggestion}?`;
  return new UsageError(`There is no flag ${flag}${question} "coffer ${command} --help" lists all flags.`);
}

/** Of oclif's errors, only this one has `flags`. */
function flagsOf(error: Error & { readonly flags?: readonly string[] }): readonly string[] {
  return 'oclif' in error ? (error.flags ?? []) : [];
}

function meantBy(flag: string, names: readonly string[]): string | undefined {
  const typed = flag.replace(/^--/, '');
  if (typed === flag || typed === '') return undefined; // a single letter resembles too many
  const [best] = names.map((name) => ({ name, mistakes: distance(typed, name) })).sort((a, b) => a.mistakes - b.mistakes);
  // Two mistakes make any short word another one.
  const isLike = best !== undefined && best.mistakes <= Math.min(maxMistakes, typed.length / 2);
  return names.find((name) => name.startsWith(typed)) ?? (isLike ? best.name : undefined);
}
