import type { Plugin } from 'rolldown';

/**
 * For rolldown: in a script that Node did not load itself, `import()` of a module outside the bundle needs an experimental API of
 * Node. It becomes a call of the function that bin/program.js passes in.
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
