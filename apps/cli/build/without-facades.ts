import { basename } from 'node:path';

import type { Plugin } from 'rolldown';

const facade = /^export \{[^}]* \} from "(\.\/[^"]+)";\s*$/;

/**
 * For rolldown. What is imported on demand becomes a file that does nothing but export from the chunk where the code is: one
 * more file to load. Here that chunk itself is imported, which needs `minifyInternalExports: false`: names as they are.
 */
export function withoutFacades(): Plugin {
  return {
    name: 'without-facades',
    generateBundle(_options, bundle) {
      const chunks = Object.values(bundle).filter((file) => file.type === 'chunk');
      for (const { fileName, code, isDynamicEntry } of chunks) {
        const [, target] = facade.exec(code) ?? [];
        if (!isDynamicEntry || target === undefined) continue;
        if (/ as /.test(code)) throw new Error(`${fileName} exports under other names than its chunk does.`);
        for (const chunk of chunks) chunk.code = chunk.code.replaceAll(basename(fileName), basename(target));
        delete bundle[fileName];
      }
    },
  };
}
