import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Config } from './oclif.ts';

/** What the package itself says about its commands. */
export interface Settings {
  /** The folder of this package. */
  readonly root: string;
  readonly pjson: Config['pjson'];
  /** Every command as its words: `storage buckets list`. */
  readonly commands: readonly string[];
}

interface Manifest {
  readonly commands: Readonly<Record<string, { readonly hidden?: boolean }>>;
}

/** @param here URL of a file in `dist` */
export function settingsOf(here: string): Settings {
  const root = dirname(dirname(fileURLToPath(here)));
  const read = (name: string): unknown => JSON.parse(readFileSync(join(root, name), 'utf8'));
  const { commands } = read('oclif.manifest.json') as Manifest;
  return {
    root,
    pjson: read('package.json') as Config['pjson'],
    commands: Object.keys(commands).map((id) => id.replaceAll(':', ' ')),
  };
}
