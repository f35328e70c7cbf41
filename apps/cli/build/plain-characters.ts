import type { Plugin } from 'rolldown';

/**
 * For rolldown: escapes all characters outside ASCII. If a file has a single character beyond Latin-1, V8 stores all of it at two
 * bytes per character, and also reads it more slowly.
 */
export function plainCharacters(): Plugin {
  return {
    name: 'plain-characters',
    generateBundle(_options, bundle) {
      for (const file of Object.values(bundle)) if (file.type === 'chunk') file.code = file.code.replace(/[\u0080-\uFFFF]/g, escaped);
    },
  };
}

function escaped(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
