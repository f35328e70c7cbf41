import { forbiddenStrings } from './forbidden-strings.ts';
import { namedPaths } from './named-paths.ts';
import { packedPackages } from './packed-packages.ts';
import { failureOf } from './tool.ts';

export interface Step {
  readonly name: string;
  /** Resolves with what is wrong, for a person; with nothing when all is well. */
  readonly run: () => Promise<string>;
}

const tool =
  (command: string, ...args: readonly string[]) =>
  (): Promise<string> =>
    failureOf(command, args);

/** The slow ones first: they share two places. */
export const steps: readonly Step[] = [
  { name: 'packages', run: packedPackages },
  { name: 'types', run: tool('turbo', 'run', 'typecheck', '--output-logs=errors-only', '--ui=stream') },
  { name: 'lint', run: tool('oxlint') },
  { name: 'unused', run: tool('knip', '--no-progress') },
  { name: 'format', run: tool('oxfmt', '--list-different') },
  { name: 'boundaries', run: tool('turbo', 'boundaries') },
  { name: 'paths', run: namedPaths },
  { name: 'forbidden', run: forbiddenStrings },
];
