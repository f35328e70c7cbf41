import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Where this code is. A bundle of CommonJS knows no `import.meta.url`: it is what the process was started with, most likely. */
export const here: string = import.meta.url ?? pathToFileURL(process.argv[1] ?? join(process.cwd(), 'package.json')).href;

/** Node's `createRequire`, by a way that webpack does not see: it puts something of its own in the place of what it takes for calls of it. */
export function requireFrom(base: string): NodeJS.Require {
  return process.getBuiltinModule('node:module').createRequire(base);
}
