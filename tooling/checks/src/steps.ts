import { forbiddenStrings } from './forbidden-strings.ts';
import { namedPaths } from './named-paths.ts';
import { packedPackages } from './packed-packages.ts';
import { failureOf } from './tool.ts';

export interface Step {
  readonly name: string;
  /** Resolves with the problems, as text for a person; with an empty string if there are none. */
  readonly run: () => Promise<string>;
  /** Runs once the others have ended. */
  readonly isLast?: boolean;
}

const tool =
  (command: string, ...args: readonly string[]) =>
  (): Promise<string> =>
    failureOf(command, args);

/** The slow ones first: two checks run at a time. */
export const steps: readonly Step[] = [
  { name: 'types', run: tool('turbo', 'run', 'typecheck', '--output-logs=errors-only', '--ui=stream') },
  { name: 'lint', run: tool('oxlint') },
  { name: 'unused', run: tool('knip', '--no-progress') },
  { name: 'format', run: tool('oxfmt', '--list-different') },
  { name: 'boundaries', run: tool('turbo', 'boundaries') },
  { name: 'paths', run: namedPaths },
  { name: 'forbidden', run: forbiddenStrings },
  // Packing builds anew what others read.
  { name: 'packages', run: packedPackages, isLast: true },
];
