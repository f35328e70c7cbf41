import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

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

  const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;
  const put = async (mode: number): Promise<void> => {
    await writeFile(target, 'old');
    await chmod(target, mode);
  };

  it.each(['one', 'one to go on with'])('%s is as private as the file that it will replace', async (which) => {
    await put(0o600);
    const part = await PartFile.open(target, which === 'one' ? {} : { path: partPath(target) });
    expect(await modeOf(part.path)).toBe(0o600);
    await put(0o750); // meanwhile
    await part.commit();
    expect(await modeOf(target)).toBe(0o750);
  });

  it.each([
    ['private', 0o600, 0o600],
    ['open to all', 0o666, 0o666 & ~process.umask()],
  ])('in the place of a file of somebody else that is %s lets nobody else at it', async (_what, mode, after) => {
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
