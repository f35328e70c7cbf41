import { pathToFileURL } from 'node:url';

/** Where this code is. A bundle of CommonJS knows no `import.meta.url`, but its own name: what the process was started with may be pm2. */
export const here: string = import.meta.url ?? pathToFileURL(__filename).href;

/** Node's `createRequire`, by a way that webpack does not see: it puts something of its own in the place of what it takes for calls of it. */
export function requireFrom(base: string): NodeJS.Require {
  return process.getBuiltinModule('node:module').createRequire(base);
}
