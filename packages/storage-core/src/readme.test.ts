import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { describe, expect, it } from 'vitest';

const run = promisify(execFile);
const folder = fileURLToPath(new URL('..', import.meta.url));
const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
const snippets = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => match[1] ?? '');

/** Runs a snippet as a module of this package, which imports itself by name. */
async function output(code: string): Promise<string> {
  const flags = ['--conditions=@coffer/source', '--input-type=module-typescript', '--no-warnings'];
  const { stdout } = await run(process.execPath, [...flags, '--eval', code], { cwd: folder });
  return stdout;
}

describe('README', () => {
  it('has a first snippet that prints what it says', async () => {
    const lines = (await output(snippets[0] ?? '')).trim().split('\n');
    expect(lines).toEqual([expect.stringMatching(/^stored 19 bytes, ETag [0-9a-f]{32}$/), 'reports/2026.csv 19', '42']);
    for (const line of lines.slice(1)) expect(readme).toContain(`\`${line}\``);
  });

  it('has a second snippet that serves objects', async () => {
    const said = [...(snippets[1] ?? '').matchAll(/^\/\/ (.*)$/gm)].map(([, line]) => line);
    expect((await output(snippets[1] ?? '')).trim().split('\n')).toEqual(said);
    expect(said).toHaveLength(2);
  });

  it('has a third snippet that runs the suite under node:test', async () => {
    const report = await output(snippets[2] ?? '');
    expect(report).toMatch(/^# tests 1\d\d$|^ℹ tests 1\d\d$/m);
    expect(report).toMatch(/^(?:#|ℹ) fail 0$/m);
  });

  it('names a backend to copy, which needs nothing but what the package exports', async () => {
    const source = await readFile(new URL('memory-backend.ts', import.meta.url), 'utf8');
    const copy = source.replaceAll(/from '\.\/[\w/-]+\.ts'/g, "from '@coffer/storage-core'");
    expect(copy).not.toMatch(/from '\./);
    const use = `console.log((await memoryBackend({ buckets: ['copy'] }).list('copy', {}, {})).isTruncated);`;
    expect((await output(copy + use)).trim()).toBe('false');
  });

  it('links to files that are there', async () => {
    for (const [, path = ''] of readme.matchAll(/\]\((src\/[^)]+)\)/g)) await readFile(new URL(`../${path}`, import.meta.url));
  });
});
