import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { Cli } from './testing/cli.ts';
import type { Ended } from './testing/cli.ts';
import { putFiles } from './testing/files.ts';

describe('calling it', () => {
  let cli: Cli;
  let folder: string;
  const coffer = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> =>
    cli.run(args, { cwd: folder, env });

  beforeAll(async () => {
    cli = await Cli.build();
    folder = await mkdtemp(join(tmpdir(), 'coffer-usage-'));
    await putFiles(folder, { 'a.txt': 'a', 'b.txt': 'b', 'tree/a.txt': 'a' });
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it.each([['delete', '--confirm'], ['presign'], ['copy', 'a'], ['tenants', 'provision']])(
    'takes no argument from stdin: %s',
    async (...args) => {
      const ended = await cli.run(['storage', ...args], { cwd: folder, stdin: 'a\n' });
      expect(ended).toMatchObject({ code: 2, stdout: '' });
    },
  );

  it.each([
    [['upload', 'tree'], 'tree is a directory'],
    [['upload', 'a.txt', 'b.txt', '--key', 'k'], '--key names one object'],
    [['upload', 'tree', '-r', '--key', 'k'], '--key names one object'],
    [['upload', 'a.txt', '--key', 'k', '--prefix', 'p'], '--prefix'],
    [['upload', 'a.txt', 'tree/a.txt'], 'would both become a.txt'],
    [['upload', 'a.txt', 'b.txt', './a.txt'], './a.txt is given twice'],
    [['upload', 'tree', 'tree/', '-r'], 'tree/ is given twice'],
    [['upload', '', ''], 'PATH must not be empty'],
    [['upload', '', '.', '-r'], 'PATH must not be empty'],
    [['upload', 'a.txt', '--key', ''], '--key must not be empty'],
    [['upload', '-', '--key', ''], '--key must not be empty'],
    [['upload', 'a.txt', '--acl', 'public'], '--acl'],
    [['upload', 'a.txt', '--concurrency', '0'], '--concurrency'],
    [['upload', 'a.txt', '--concurrency', '1001'], '--concurrency'],
    [['upload'], 'Missing PATH: Files and directories to upload'],
    [['tenants', 'create'], 'Missing UUID: Uuid that identifies the tenant. Missing SLUG: Readable name'],
    [['download', 'k'], 'Missing required flag --output'],
    [['download', '--output', 'x'], 'Missing KEY: Keys to download'],
    [['download', '', '--output', 'x'], 'KEY must not be empty'],
    [['presign', ''], 'KEY must not be empty'],
    [['copy', 'k'], '--to-bucket'],
    [['copy', 'k', '--to-key', ''], '--to-key must not be empty'],
    [['copy', 'k', 'l', '--to-key', 'm'], 'DST and --to-key'],
    [['copy', '', 'k'], 'SRC must be the key'],
    [['copy', 'k', 'k'], 'the same'],
    [['move', 'a', 'a/b', '--recursive'], 'below the source'],
    [['delete', '', '--prefix', '--confirm'], 'buckets delete'],
    [['delete', '/', '--prefix', '--confirm'], 'buckets delete'],
    [['list', '--recursive', '--delimiter', '/'], '--delimiter'],
    [['list', '--limit', '0'], '--limit: Expected an integer greater than or equal to 1'],
    [['presign', 'k', '--expires', '1h'], '--expires: Expected an integer but received: 1h'],
    [['list', '--nope'], 'There is no flag --nope. "coffer storage list --help" lists all flags.'],
    [['upload', 'a.txt', '--dryrun'], 'There is no flag --dryrun; did you mean --dry-run?'],
    [['upload', 'a.txt', '--dry'], 'did you mean --dry-run?'],
    [['upload', 'a.txt', '--yes'], 'There is no flag --yes. "coffer'],
    [['delete', 'a.txt', '--recursiv'], 'did you mean --recursive?'],
    [['list', '--hlep'], 'did you mean --help?'],
    [['download', 'k', '--out=x'], 'There is no flag --out; did you mean --output?'],
    [['buckets', 'delete', 'k', '-y'], 'There is no flag -y. "coffer storage buckets delete --help" lists all flags.'],
    [['list', '--json=true'], '--json takes no value'],
    [['list', '--explain=false'], '--explain takes no value'],
    [['delete', 'a.txt', '--confirm=false'], '--confirm takes no value'],
    [['delete', 'docs', '--recursive=false', '--confirm'], '--recursive takes no value'],
    [['buckets', 'delete', 'name', '--force='], '--force takes no value'],
    [['upload', 'a.txt', '--dry-run=true'], '--dry-run takes no value'],
    [['lst'], 'did you mean "storage list"?'],
    [['buckets', 'creat', 'x'], 'did you mean "storage buckets create"?'],
    [['ls', 'x'], 'did you mean "storage list"?'],
    [['rm', 'x'], 'did you mean "storage delete"?'],
    [['buckets', 'remove', 'x'], 'did you mean "storage buckets delete"?'],
    [['mb', 'x'], 'did you mean "storage buckets create"?'],
    [['cat', 'x'], 'did you mean "storage download"?'],
  ])('%j is a usage error', async (args, message) => {
    const ended = await coffer(['storage', ...args]);
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toMatch(/^usage: [^\n]+\n$/);
    expect(ended.stderr).toContain(message);
    const inJson = await coffer(['storage', ...args, '--json']);
    expect(inJson).toMatchObject({ code: 2, json: { error: { code: 'usage', message: expect.stringContaining(message) as string } } });
    expect(await readdir(folder)).not.toContain('x');
  });

  it.each([
    [['upload', 'x'], 'storage upload'],
    [['buckets', 'list'], 'storage buckets list'],
    [['ls'], 'storage list'],
    [['uplaod', 'x'], 'storage upload'],
    [['tenant', 'list'], 'storage tenants list'],
  ])('%j lacks the word that commands begin with', async (args, meant) => {
    expect((await coffer(args)).stderr).toContain(`did you mean "${meant}"?`);
  });

  it.each([
    [['foo']],
    [['login']],
    [['serve']],
    [['sync', 'a', 'b']],
    [['storage', 'du']],
    [['storage', 'sync', 'a', 'b']],
    [['storage', 'tenants', 'delete', 'acme']], // not a misspelling of "create"
    [['storage', 'tenants', 'remove', 'acme']],
  ])('%j is like no command, and none is guessed', async (args) => {
    expect((await coffer(args)).stderr).toMatch(/^usage: "[^"]+" is not a coffer command\. "coffer help" lists all commands\.\n$/);
  });

  it.each([[[]], [['storage']], [['storage', 'buckets']]])('%j with --json is one document too', async (args) => {
    const ended = await coffer([...args, '--json']);
    expect(ended).toMatchObject({ code: 2, json: { error: { code: 'usage', message: expect.stringContaining('--help') as string } } });
    expect(ended.stderr).toMatch(/^usage: [^\n]+\n$/);
    expect(await coffer(args)).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('USAGE') as string });
  });

  it.each([
    [['storage', '--bucket', 'x', 'list'], '"coffer storage list --bucket x"'],
    [['--json', 'storage', 'list'], '"coffer storage list --json"'],
    [['storage', '-b', 'x', 'buckets', 'list', '--json'], '"coffer storage buckets list -b x …"'],
    [['storage', '--bucket', 'list', 'upload', 'a.txt'], '"coffer storage upload --bucket list …"'],
    [['storage', '--bucket=tenants', 'list'], '"coffer storage list --bucket=tenants"'],
    [['storage', '--bucket', 'tenants', 'list'], '"coffer storage list --bucket tenants"'],
    [['storage', '--recursive', 'upload', 'tree'], '"coffer storage --help"'],
    [['storage', '-b', 'x'], '"coffer storage --help"'],
    [['storage', 'buckets', '--nope'], '"coffer storage buckets --help"'],
    [['storage', '--version'], '"coffer storage --help"'],
    [['--nope'], '"coffer --help"'],
    [['--json', 'storage', 'nope'], '"coffer --help"'],
    [['storage', '--', '--help'], '"coffer storage --help"'],
  ])('%j has a flag before the words of a command, which come first', async (args, instead) => {
    const ended = await coffer(args);
    expect(ended).toMatchObject({ code: 2, stdout: args.includes('--json') ? expect.stringContaining('"usage"') : '' });
    expect(ended.stderr).toMatch(/^usage: [^\n]* first, then the flags[^\n]+\n$/);
    expect(ended.stderr).toContain(instead);
  });

  it.each([
    ['--include', ''],
    ['--exclude', ''],
    ['--include', '*'.repeat(70_000)],
    ['--exclude', 'x'.repeat(70_000)],
  ])('takes no empty and no endless pattern: %s', async (flag, pattern) => {
    const ended = await coffer(['storage', 'upload', 'tree', '--recursive', flag, pattern]);
    expect(ended).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/^usage: [^\n]{1,200}\n$/) as string });
    expect(ended.stderr).toContain(flag);
  });

  it.each([[[]], [['storage']], [['storage', 'buckets']], [['storage', 'list']], [['storage', '--json']], [['storage', 'list', 'x']]])(
    '%j -h is %j --help',
    async (args) => {
      const [short, long] = await Promise.all([coffer([...args, '-h']), coffer([...args, '--help'])]);
      expect(short).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('USAGE') as string });
      expect(short.stdout).toBe(long.stdout);
    },
  );

  it.each([
    'check',
    'copy',
    'delete',
    'download',
    'info',
    'list',
    'move',
    'presign',
    'sweep',
    'upload',
    ...['create', 'delete', 'info', 'list'].map((name) => `buckets ${name}`),
    ...['create', 'list', 'migrate', 'provision', 'usage'].map((name) => `tenants ${name}`),
  ])('%s has help with examples, and with the flags that all commands have', async (command) => {
    const { code, stdout } = await coffer(['storage', ...command.split(' '), '--help']);
    expect(code).toBe(0);
    for (const part of ['EXAMPLES', `$ coffer storage ${command}`, '-b, --bucket', '--json ']) expect(stdout).toContain(part);
    expect(stdout, 'a line is only broken where a shell joins it again').not.toMatch(/'[^'\n]* \\\n/);
    expect(stdout.split('ARGUMENTS')[0], 'the usage is short').not.toContain('public-read');
  });

  it('runs no plugins of the data directory, which oclif takes for its own', async () => {
    await putFiles(folder, {
      'data/package.json': JSON.stringify({ name: 'x', oclif: { plugins: [{ name: 'evil', type: 'link', root: './data/evil' }] } }),
      'data/evil/package.json': JSON.stringify({ name: 'evil', version: '1.0.0', oclif: { hooks: { init: './init.cjs' } } }),
      'data/evil/init.cjs': "exports.default = () => console.error('evil');",
    });
    const env = { COFFER_DATA_DIR: join(folder, 'data') };
    expect(await coffer(['storage', 'buckets', 'list'], env)).toMatchObject({ code: 0, stderr: '' });
    expect(await coffer(['storage', '--help'], env)).toMatchObject({ code: 0, stderr: '' });
    await putFiles(folder, { 'data/package.json': 'no JSON' });
    expect(await coffer(['storage', 'buckets', 'list'], env)).toMatchObject({ code: 0, stderr: '' });
  });

  it('tells its version, with nothing loaded', async () => {
    expect(await coffer(['--version'])).toMatchObject({
      code: 0,
      stderr: '',
      stdout: expect.stringMatching(/^@coffer\/cli\/\d+\.\d+\.\d+ /) as string,
    });
  });

  it('prints its version to a closed pipe without an error, and reports a full disk', async () => {
    const { child, ended } = cli.start(['--version'], { cwd: folder });
    child.stdout?.destroy();
    expect(await ended).toMatchObject({ code: 0, stderr: '' });
    if (!existsSync('/dev/full')) return;
    const stdout = openSync('/dev/full', 'w');
    expect(await cli.run(['--version'], { cwd: folder, stdout })).toMatchObject({
      code: 1,
      stderr: 'disk_full: stdout: The disk is full.\n',
    });
    closeSync(stdout);
  });

  it.each([
    [['--help']],
    [['help']],
    [['storage']],
    [['storage', '--help']],
    [['storage', 'buckets']],
    [['help', 'storage']],
    [['help', 'storage', 'list']],
  ])('%j helps', async (args) => {
    const ended = await coffer(args);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toContain('USAGE');
  });

  it('has help with examples for every command', async () => {
    const text = await readFile(join(cli.root, 'oclif.manifest.json'), 'utf8');
    const { commands } = JSON.parse(text) as { commands: Record<string, { examples?: unknown[]; summary?: string }> };
    for (const [id, command] of Object.entries(commands)) {
      expect(command.examples?.length, id).toBeGreaterThan(0);
      expect(command.summary, id).toMatch(/\.$/);
    }
  });

  it('names every mistake in the configuration, and no secret', async () => {
    const env = { STORAGE_BACKEND: 'gcs', STORAGE_MAX_RETRIES: 'many', STORAGE_S3_ACCESS_KEY: 'a-key-that-is-secret' };
    const ended = await coffer(['storage', 'list', '--json'], env);
    expect(ended.code).toBe(2);
    expect(ended.json.error.code).toBe('configuration');
    for (const text of [ended.stderr, ended.json.error.message]) {
      for (const name of ['STORAGE_BACKEND', 'STORAGE_MAX_RETRIES', 'STORAGE_S3_SECRET_KEY']) expect(text).toContain(name);
      expect(text).not.toContain('a-key-that-is-secret');
      expect(text).not.toContain('    at ');
    }
  });

  it('has no colours where there is no terminal', async () => {
    const { stdout, stderr } = await coffer(['storage', 'buckets', 'list'], { COFFER_DATA_DIR: join(folder, 'data') });
    expect(stdout + stderr).not.toContain('\u001b');
  });
});
