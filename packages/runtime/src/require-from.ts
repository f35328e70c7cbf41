import { pathToFileURL } from 'node:url';

/**
 * Where this code is. A CommonJS bundle has no `import.meta.url`, but knows its own file name; the script that the process was started with
 * may be pm2.
 */
export const thisModule: string = import.meta.url ?? pathToFileURL(__filename).href;

/** Node's `createRequire`, called so that webpack does not see it: webpack replaces whatever it takes for such a call. */
export function requireFrom(base: string): NodeJS.Require {
  return process.getBuiltinModule('node:module').createRequire(base);
}
