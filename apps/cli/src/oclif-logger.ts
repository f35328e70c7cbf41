import type { Logger } from './oclif.ts';

/** Says nothing. oclif's own loads a library, which takes 3 ms. */
export const silent: Logger = {
  namespace: 'oclif',
  child: () => silent,
  debug: nothing,
  error: nothing,
  info: nothing,
  trace: nothing,
  warn: nothing,
};

function nothing(): void {}
