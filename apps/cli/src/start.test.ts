import { glob, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { Cli } from './testing/cli.ts';
import type { Ended } from './testing/cli.ts';

describe('the start of a command', () => {
  let cli: Cli;
  let folder: string;
  beforeAll(async () => {
    cli = await Cli.build();
    folder = await mkdtemp(join(tmpdir(), 'coffer-start-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  /** Names of the files and of the modules of Node that a command loads. */
  async function loadedBy(args: readonly string[], ended: Partial<Ended>): Promise<readonly string[]> {
    const told = join(folder, 'loaded.json');
    const hook = join(folder, 'hook.mjs');
    await writeFile(
      hook,
      `import fs from 'node:fs';
const before = new Set(process.moduleLoadList);
const files = [];
const read = fs.readFileSync;
fs.readFileSync = (file, ...options) => (files.push(String(file)), read(file, ...options));
globalThis.setInterval = () => ({ unref() { return this; } }); // what is looked at now and then is no part of the start, however long that takes
process.on('exit', () => {
  const modules = process.moduleLoadList.filter((name) => !before.has(name) && name.startsWith('NativeModule '));
  fs.writeFileSync(${JSON.stringify(told)}, JSON.stringify([...files, ...modules]));
});
`,
    );
    const env = {
      STORAGE_BACKEND: 'local',
      STORAGE_LOCAL_PATH: join(folder, 'data'),
      NODE_OPTIONS: `--import=${pathToFileURL(hook).href}`,
    };
    expect(await cli.run(args, { cwd: folder, env })).toMatchObject(ended);
    return (JSON.parse(await readFile(told, 'utf8')) as string[]).map((name) => basename(name).replace(/-[\w-]{8}\.cjs$/, ''));
  }

  it('loads what the command needs, and of Node nothing that it does not', async () => {
    const loaded = await loadedBy(['storage', 'list'], { code: 0, stderr: '' });
    expect(loaded).toEqual(expect.arrayContaining(['main.cjs', 'oclif.cjs', 'list.cjs', 'local']));
    for (const name of ['oclif-libraries.cjs', 's3', 'NativeModule http', 'NativeModule child_process', 'NativeModule v8'])
      expect(loaded).not.toContain(name);
  });

  it('loads no storage for a command that does not exist', async () => {
    const loaded = await loadedBy(['storage', 'lst'], { code: 2 });
    expect(loaded).toContain('main.cjs');
    expect(loaded).not.toContain('runtime');
  });

  it('loads only files of one byte per character', async () => {
    const wide: string[] = [];
    for await (const file of glob('dist/**/*.cjs', { cwd: cli.root })) {
      if (/[^\0-\x7F]/.test(await readFile(join(cli.root, file), 'utf8'))) wide.push(file);
    }
    expect(wide).toEqual([]);
  });
});
