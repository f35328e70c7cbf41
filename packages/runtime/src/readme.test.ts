import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const folder = new URL('..', import.meta.url);
const readme = await readFile(new URL('README.md', folder), 'utf8');
const snippets = Array.from(readme.matchAll(/^```ts\n(.*?)^```$/gms), ([, code = '']) => code);

describe('README', () => {
  let dir = '';
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'coffer-readme-'));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  it('has snippets', () => expect(snippets).toHaveLength(2));

  it.each(snippets.map((code, index) => [index + 1, code]))('snippet %i prints what it says', async (_number, code) => {
    const printed = Array.from(code.matchAll(/^\/\/ (.*)$/gm), ([, line]) => line);
    const args = ['--conditions=@coffer/source', '--input-type=module-typescript', '--eval', code];
    const env = { PATH: process.env['PATH'] ?? '', COFFER_DATA_DIR: join(dir, 'data') };
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder, env });
    expect(stdout.trim()).toBe(printed.join('\n'));
  });
});
