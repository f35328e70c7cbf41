import type { Plugin } from 'rolldown';

const prefix = '\0when-used:';

export function isNodeWhenUsed(id: string): boolean {
  return id.startsWith(prefix);
}

/**
 * For rolldown. An ECMAScript import of a built-in module evaluates all of its exports, used or not: node:crypto loads all of Web
 * Crypto (20 ms), node:http all of fetch (40 ms). This plugin loads a module when one of its members is first read.
 */
export function nodeWhenUsed(): Plugin {
  return {
    name: 'node-modules-when-used',
    resolveId: (id, importer, { kind }) =>
      // Rolldown's own helpers (ids that begin with \0) are loaded before anything else.
      id.startsWith('node:') && kind === 'import-statement' && importer?.startsWith('\0') === false
        ? { id: `${prefix}${id}`, moduleSideEffects: false }
        : undefined,
    load: (id) => (isNodeWhenUsed(id) ? { code: whenUsed(id.slice(prefix.length)), moduleType: 'js' } : undefined),
  };
}

function whenUsed(name: string): string {
  const module = process.getBuiltinModule(name);
  if (module === undefined) throw new Error(`${name} is no module of Node.`);
  return `let loaded;
for (const name of ${JSON.stringify(Object.keys(module))})
  Object.defineProperty(exports, name, { enumerable: true, get: () => (loaded ??= process.getBuiltinModule(${JSON.stringify(name)}))[name] });
`;
}
