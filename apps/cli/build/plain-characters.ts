import type { Plugin } from 'rolldown';

/**
 * For rolldown: other characters than those of ASCII become escapes. V8 holds a file of which one character is beyond Latin-1 at
 * two bytes for each, after a slower reading.
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
