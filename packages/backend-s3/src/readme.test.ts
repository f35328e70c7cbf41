import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

import { startS3 } from '@coffer/fixtures';
import { describe, expect, it } from 'vitest';

const server = await startS3('ceph');
const folder = new URL('..', import.meta.url);
const readme = await readFile(new URL('README.md', folder), 'utf8');
const snippets = Array.from(readme.matchAll(/^```ts[^\n]*\n(.*?)^```$/gms), ([, code = '']) => code);

describe('README', () => {
  it('has snippets', () => expect(snippets).toHaveLength(2));

  it.each(snippets.map((code, index) => [index + 1, code]))('snippet %i prints what it says', async (_number, code) => {
    const { endpoint: S3_ENDPOINT, accessKey: S3_ACCESS_KEY, secretKey: S3_SECRET_KEY } = server;
    const env = { ...process.env, S3_ENDPOINT, S3_ACCESS_KEY, S3_SECRET_KEY };
    const args = ['--conditions=@coffer/source', '--input-type=module-typescript', '--eval', code];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder, env });
    expect(stdout.trim()).toBe(Array.from(code.matchAll(/^\/\/ (.*)$/gm), ([, line]) => line).join('\n'));
  });
});
