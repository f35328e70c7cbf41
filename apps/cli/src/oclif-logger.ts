import type { Logger } from './oclif.ts';

/** Logs nothing. oclif's own logger loads a library, which takes 3 ms. */
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
