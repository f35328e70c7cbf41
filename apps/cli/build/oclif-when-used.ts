import { readFile } from 'node:fs/promises';

import type { Plugin } from 'rolldown';

const requireStatement = /^const (\w+) = ((?:__importDefault\(|__importStar\()?require\("[^"]+"\)\)?);$/gm;

/**
 * For rolldown. A module of oclif requires at its top whatever any of its functions may need, so that every command would load help,
 * spinners, globs and templates (15 ms). This plugin requires a module when one of its members is first read.
 */
export function oclifWhenUsed(): Plugin {
  return {
    name: 'oclif-modules-when-used',
    async load(id) {
      return /[\\/]@oclif[\\/]core[\\/]lib[\\/].*\.js$/.test(id) ? whenUsed(withoutCollator(await readFile(id, 'utf8'), id)) : undefined;
    },
  };
}

function whenUsed(source: string): string {
  let code = source;
  for (const [statement, name, value] of source.matchAll(requireStatement)) {
    const rest = code.replace(statement, '');
    const count = (what: RegExp): number => rest.match(what)?.length ?? 0;
    if (count(new RegExp(`(?<![.\\w$])${name}\\b`, 'g')) !== count(new RegExp(`(?<![.\\w$])${name}\\.`, 'g'))) continue; // used as a whole
    code = rest
      .replace(new RegExp(`\\bnew ${name}((?:\\.\\w+)+)`, 'g'), `new (${name}()$1)`)
      .replace(new RegExp(`(?<![.\\w$])${name}\\.`, 'g'), `${name}().`);
    code += `\nvar ${name}_loaded;\nfunction ${name}() { return (${name}_loaded ??= ${value}); }\n`;
  }
  return code;
}

/** Command ids are ASCII: comparing them needs no collator, which takes 6 ms to create. */
function withoutCollator(source: string, id: string): string {
  if (!/[\\/]config[\\/]plugin\.js$/.test(id)) return source;
  const code = source.replace('a.id.localeCompare(b.id)', '(a.id < b.id ? -1 : 1)');
  if (code === source) throw new Error(`${id} has changed: does it still compare with localeCompare?`);
  return code;
}
