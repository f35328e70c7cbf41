import type { Plugin } from 'rolldown';

/** For rolldown: commands import oclif from the single file that is built of it. */
export function oclifInOneFile(): Plugin {
  return {
    name: 'oclif-in-one-file',
    resolveId: (id) => (id.endsWith('/oclif.ts') ? { id: '#oclif', external: true } : undefined),
  };
}
