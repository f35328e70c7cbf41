import type { Plugin } from 'rolldown';

/** For rolldown: commands take oclif from the one file that is made of it. */
export function oclifInOneFile(): Plugin {
  return {
    name: 'oclif-in-one-file',
    resolveId: (id) => (id.endsWith('/oclif.ts') ? { id: '#oclif', external: true } : undefined),
  };
}
