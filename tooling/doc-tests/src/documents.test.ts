import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { buildApi, buildCli } from './builds.ts';
import { brokenHeadingsOf, documents } from './documents.ts';
import type { Block, Document } from './documents.ts';
import { runFolder } from './run-folder.ts';
import { fileOf, printedBy, sameShape } from './snippets.ts';
import { Walkthrough } from './walkthrough.ts';

const run = await runFolder();
beforeAll(() => Promise.all([buildApi(), buildCli()]));
afterAll(() => rm(run, { recursive: true, force: true }));

const all = documents();
const shown = ['json', 'ini', 'nginx', 'yaml', '']; // data and pictures: for reading only
const runs = (block: Block): boolean => block.noRun === undefined && !shown.includes(block.language);

describe.each(all.map((document) => [document.path, document] as const))('%s', (_path, document) => {
  it('links to headings that are there', () => expect(brokenHeadingsOf(document)).toEqual([]));

  it('has blocks that are run, shown, or left out for a reason', () => {
    const unknown = document.blocks.filter((block) => !['sh', 'ts', 'console', ...shown].includes(block.language));
    expect(unknown.map(({ line, language }) => `${language} in line ${line}`)).toEqual([]);
    expect(document.blocks.filter(({ noRun }) => noRun === '').map(({ line }) => `line ${line}: no-run without a reason`)).toEqual([]);
  });

  const blocks = document.blocks.filter((block) => runs(block) || block.language === 'json');
  if (!blocks.some(runs)) return;
  const walkthrough = new Walkthrough(folderOf(document));
  afterAll(() => walkthrough.close());
  let printed = '';

  it.each(blocks.map((block) => [block.line, block.language, block] as const))(
    'line %i: %s',
    async (_line, language, block) => {
      if (language === 'sh') {
        printed = (await walkthrough.sh(block)).stdout;
      } else if (language === 'console') {
        await walkthrough.session(block);
      } else if (language === 'ts') {
        const output = await walkthrough.ts(block);
        const promised = printedBy(block.code);
        if (promised !== undefined) expect(output.trim()).toBe(promised);
      } else {
        // A JSON block shows the output of the commands before it, except for the values.
        expect(sameShape(JSON.parse(block.code), printed)).toBe(true);
      }
    },
    60_000,
  );
});

describe('TypeScript in all documents', () => {
  it('compiles as strictly as the packages do', async () => {
    const folder = join(run, 'typecheck');
    for (const document of all) {
      for (const block of document.blocks.filter(({ language, noRun }) => language === 'ts' && noRun === undefined)) {
        const file = join(folder, document.path, fileOf(block));
        await mkdir(dirname(file), { recursive: true });
        await writeFile(file, block.code);
      }
    }
    const compilerOptions = {
      customConditions: ['@coffer/source'],
      allowImportingTsExtensions: true,
      noEmit: true,
      moduleDetection: 'force',
      noUnusedLocals: false,
      declaration: false,
      declarationMap: false,
    };
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
    await writeFile(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ extends: '@coffer/tsconfig/base.json', compilerOptions, include: ['**/*.ts'] }),
    );
    const tsc = join(dirname(fileURLToPath(import.meta.resolve('typescript/package.json'))), 'bin/tsc');
    const { stdout } = await promisify(execFile)(process.execPath, [tsc, '-p', folder]).catch((error: { stdout: string }) => error);
    expect(stdout).toBe('');
  });
});

function folderOf({ path }: Document): string {
  return join(run, path.replaceAll('/', '_'));
}
