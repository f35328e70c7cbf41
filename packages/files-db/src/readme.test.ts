import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

import { testDatabase } from '@coffer/fixtures';
import { describe, expect, it } from 'vitest';

const folder = new URL('..', import.meta.url);
const readme = await readFile(new URL('README.md', folder), 'utf8');
const snippets = Array.from(readme.matchAll(/^```ts\n(.*?)^```$/gms), ([, code = '']) => code);

describe('README', () => {
  it('has snippets', () => expect(snippets).not.toEqual([]));

  it.each(snippets.map((code, index) => [index + 1, code]))('snippet %i prints what it says', async (_number, code) => {
    const { url, drop } = await testDatabase();
    const args = ['--conditions=@coffer/source', '--input-type=module-typescript', '--eval', code];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder, env: { ...process.env, DATABASE_URL: url } });
    expect(stdout.trim()).toBe(Array.from(code.matchAll(/^\/\/ (.*)$/gm), ([, line]) => line).join('\n'));
    await drop();
  });
});
