import type { Logger } from './oclif.ts';

/** One that says nothing, unless DEBUG asks for oclif's own: that one loads a library, which takes 3 ms. */
export function oclifLogger(): { readonly logger?: Logger } {
  // oxlint-disable-next-line node/no-process-env -- oclif's variable, which configures nothing
  return process.env['DEBUG'] === undefined ? { logger: silent } : {};
}

const silent: Logger = {
  namespace: 'oclif',
  child: () => silent,
  debug: nothing,
  error: nothing,
  info: nothing,
  trace: nothing,
  warn: nothing,
};

function nothing(): void {}
