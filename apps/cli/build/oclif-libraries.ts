import { fileURLToPath } from 'node:url';

import type { Plugin } from 'rolldown';

const file = './oclif-libraries.cjs';
const prefix = '\0oclif-library:';
const entry = '\0oclif-libraries';
const oclif = /[\\/]@oclif[\\/]core[\\/]lib[\\/]/;

/**
 * For rolldown. Half of oclif is libraries for help, for colours, and for finding commands. Running a known command needs none of
 * them, so they become a file of their own.
 * @param names receives the names of those libraries
 */
export function librariesApart(names: Set<string>): Plugin {
  return {
    name: 'oclif-libraries-apart',
    resolveId(id, importer, { kind }) {
      if (id === file) return { id, external: true };
      if (kind !== 'require-call' || !oclif.test(importer ?? '') || /^(?:\.|node:|@oclif\/core\/)/.test(id)) return undefined;
      names.add(id);
      return prefix + id;
    },
    load: (id) =>
      id.startsWith(prefix)
        ? { code: `module.exports = require(${JSON.stringify(file)})[${JSON.stringify(id.slice(prefix.length))}];`, moduleType: 'js' }
        : undefined,
  };
}

/** For rolldown: builds the file of those libraries, each of which is loaded on first use. */
export function librariesOf(names: ReadonlySet<string>): { readonly input: Readonly<Record<string, string>>; readonly plugin: Plugin } {
  // Sorted by name: they are found in a different order each time, and the same sources must give the same build.
  const members = [...names].toSorted().map((name) => `get ${JSON.stringify(name)}() { return require(${JSON.stringify(name)}); }`);
  return {
    input: { 'oclif-libraries': entry },
    plugin: {
      name: 'oclif-libraries',
      resolveId(id, importer, { kind }) {
        if (id === entry) return id;
        return importer === entry ? this.resolve(id, fileURLToPath(import.meta.resolve('@oclif/core')), { kind }) : undefined;
      },
      load: (id) => (id === entry ? { code: `module.exports = { ${members.join(', ')} };`, moduleType: 'js' } : undefined),
    },
  };
}
