import type { Plugin } from 'rolldown';

const prefix = '\0oclif:';

/**
 * For rolldown: commands take oclif from the one file that is made of it. It is required: to import it, Node would first read it
 * and what it requires for the names that they export (3 ms).
 */
export function oclifInOneFile(): Plugin {
  return {
    name: 'oclif-in-one-file',
    resolveId: (id) => (id.endsWith('/oclif.ts') ? prefix : undefined),
    load: (id) =>
      id === prefix
        ? `const { createRequire } = process.getBuiltinModule('node:module');
export const { Args, Command, Config, Flags, run, setLogger } = createRequire(import.meta.url)('#oclif');
`
        : undefined,
  };
}
