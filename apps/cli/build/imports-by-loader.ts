import type { Plugin } from 'rolldown';

/**
 * For rolldown: `import()` of what is no part of the bundle, in a script that Node has not loaded, takes what Node calls experimental. It
 * becomes a call of what bin/program.js hands over.
 */
export function importsByLoader(): Plugin {
  return {
    name: 'imports-by-loader',
    generateBundle(_options, bundle) {
      for (const file of Object.values(bundle))
        if (file.type === 'chunk') file.code = file.code.replace(/(?<!['"`.\w$])import\(/g, '__import(');
    },
  };
}
