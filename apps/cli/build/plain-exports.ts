import type { Plugin } from 'rolldown';

const getter =
  /^Object\.defineProperty\(exports, "([\w$]+)", \{\s*enumerable: true,\s*get: function\(\) \{\s*return ([\w$]+);\s*\}\s*\}\);\n/gm;

/**
 * For rolldown. A chunk exports through getters, which other chunks call at each use of a function. This plugin makes them plain
 * properties, so chunks must have finished before others read their exports, and exported names must keep their value.
 */
export function plainExports(): Plugin {
  return {
    name: 'plain-exports',
    generateBundle(_options, bundle) {
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== 'chunk') continue;
        const members: string[] = [];
        const code = chunk.code.replace(getter, (definition, name: string, local: string) => {
          if (isAssigned(chunk.code, local)) return definition;
          members.push(`${name}: ${local}`);
          return '';
        });
        if (members.length === 0) continue;
        const cycle = findCycle(chunk.fileName, bundle);
        if (cycle !== undefined) throw new Error(`Chunks import each other: ${cycle.join(', ')}.`);
        // An object literal: V8 keeps its properties fast to read however many there are.
        chunk.code = `${code}module.exports = Object.defineProperties({ ${members.join(', ')} }, Object.getOwnPropertyDescriptors(exports));\n`;
      }
    },
  };
}

/** Whether a name may be assigned a value after its declaration. */
function isAssigned(code: string, local: string): boolean {
  const name = local.replaceAll('$', String.raw`\$`);
  return new RegExp(
    String.raw`^let ${name}\b|(?<!(?:const|var) |[.\w$])${name} *(?:[-+*/%&|^?<>]{0,3}=(?![=>])|\+\+|--)|(?:\+\+|--)${name}\b`,
    'm',
  ).test(code);
}

type Bundle = Readonly<Record<string, { readonly type: string; readonly imports?: readonly string[] }>>;

function findCycle(start: string, bundle: Bundle): readonly string[] | undefined {
  const seen = new Set<string>();
  const search = (path: readonly string[]): readonly string[] | undefined => {
    for (const next of bundle[path.at(-1)!]?.imports ?? []) {
      if (next === start) return path;
      if (seen.has(next)) continue;
      seen.add(next);
      const found = search([...path, next]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return search([start]);
}
