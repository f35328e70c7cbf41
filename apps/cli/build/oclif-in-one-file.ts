import type { Plugin } from 'rolldown';

const prefix = '\0oclif:';

/** For rolldown: commands take oclif from the one file that is made of it. Which names that exports, not every Node can see. */
export function oclifInOneFile(): Plugin {
  return {
    name: 'oclif-in-one-file',
    resolveId: (id) => (id.endsWith('/oclif.ts') ? prefix : id === '#oclif' ? { id, external: true } : undefined),
    load: (id) =>
      id === prefix ? "import oclif from '#oclif';\nexport const { Args, Command, Config, Flags, run, setLogger } = oclif;\n" : undefined,
  };
}
