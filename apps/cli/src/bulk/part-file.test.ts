import { execFile } from 'node:child_process';
import { chmod, chown, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';

import { PartFile, partPath } from './part-file.ts';

describe.skipIf(process.platform === 'win32')('a part file', () => {
  let folder: string;
  let target: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'coffer-part-'));
    target = join(folder, 'file');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o7777;
  const put = async (mode: number): Promise<void> => {
    await writeFile(target, 'old');
    await chmod(target, mode);
  };

  it.each(['a new file', 'a file to continue'])('%s is as private as the file that it will replace', async (which) => {
    await put(0o600);
    const part = await PartFile.open(target, which === 'a new file' ? undefined : partPath(target));
    expect(await modeOf(part.path)).toBe(0o600);
    await put(0o4750); // after the part file was created
    await part.commit();
    expect(await modeOf(target)).toBe(0o750); // the right to run as the owner was given to other bytes
  });

  it('belongs to the group of the file that it replaces', async () => {
    const group = process.geteuid!() === 0 ? 1 : process.getgroups!().find((id) => id !== process.getegid!());
    await put(0o640);
    if (group !== undefined) await chown(target, process.geteuid!(), group);
    const part = await PartFile.open(target);
    await part.commit();
    expect(await modeOf(target)).toBe(0o640);
    if (group !== undefined) expect((await stat(target)).gid).toBe(group);
  });

  it.skipIf(process.geteuid?.() !== 0)('gives its own group no more permissions when it cannot keep the former one', async () => {
    const script = `const { PartFile } = await import(${JSON.stringify(new URL('part-file.ts', import.meta.url))});
      process.setegid(65534); process.seteuid(65534);
      for (const target of process.argv.slice(1)) await (await PartFile.open(target)).commit();`;
    const targets = { shared: 0o664, private: 0o640 };
    await chmod(folder, 0o777);
    for (const [name, mode] of Object.entries(targets)) {
      await writeFile(join(folder, name), 'old');
      await chown(join(folder, name), 65_534, 1);
      await chmod(join(folder, name), mode);
    }
    await promisify(execFile)(process.execPath, [
      '--conditions=@coffer/source',
      '--input-type=module',
      `--eval=${script}`,
      ...Object.keys(targets).map((name) => join(folder, name)),
    ]);
    expect([await modeOf(join(folder, 'shared')), await modeOf(join(folder, 'private'))]).toEqual([0o644, 0o600]);
  });

  it.each([
    ['private', 0o600, 0o600],
    ["a group's", 0o640, 0o600],
    ['open to all', 0o666, 0o666 & ~process.umask()],
  ])('in place of a file of another user that is %s gives others no more access', async (_what, mode, after) => {
    await put(mode);
    const other = vi.spyOn(process, 'geteuid').mockReturnValue(process.geteuid!() + 1);
    onTestFinished(() => other.mockRestore());
    const part = await PartFile.open(target);
    await part.write(Buffer.from('new'), 0);
    await part.commit();
    expect(await readFile(target, 'utf8')).toBe('new');
    expect(await modeOf(target)).toBe(after);
  });
});
