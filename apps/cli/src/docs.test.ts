import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { withReference } from '../scripts/command-reference.ts';
import { Cli } from './testing/cli.ts';

describe('docs/cli.md', () => {
  let cli: Cli;
  let text: string;
  beforeAll(async () => {
    cli = await Cli.build();
    text = await readFile(new URL('../../../docs/cli.md', import.meta.url), 'utf8');
  });

  it('has the commands as they are (pnpm build && pnpm docs)', async () => {
    const manifest = JSON.parse(await readFile(join(cli.root, 'oclif.manifest.json'), 'utf8')) as Parameters<typeof withReference>[1];
    expect(withReference(text, manifest)).toBe(text);
  });

  it('has every code of errors that are not of the storage', async () => {
    const read = (path: string): Promise<string> => readFile(new URL(path, import.meta.url), 'utf8');
    const ofStorage = await read('../../../packages/storage-core/src/errors.ts');
    const sources = globSync('**/*.ts', { cwd: import.meta.dirname, exclude: ['**/*.test.ts'] });
    const codes = (await Promise.all(sources.map(read))).flatMap((source) =>
      Array.from(source.matchAll(/(?:(?:new LocalError|super)\(|\bcode: |[A-Z]: \[)'([a-z_]+)'/g), ([, code = '']) => code),
    );
    const own = new Set(codes.filter((code) => !ofStorage.includes(`'${code}'`)));
    expect(own).toContain('path_conflict');
    for (const code of own) expect(text, code).toContain(`\`${code}\``);
  });
});
