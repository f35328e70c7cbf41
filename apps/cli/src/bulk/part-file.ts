import { randomBytes } from 'node:crypto';
import { constants, fchmod, fchown, ftruncate } from 'node:fs';
import type { Stats } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

import { LocalError } from '../problem.ts';
import { disk } from './disk.ts';

const changeMode = promisify(fchmod);
const changeOwner = promisify(fchown);
const truncateFile = promisify(ftruncate);

/** The permission bits of a mode, without setuid, setgid and sticky. */
const permissions = 0o777;

/** The part of a mode to keep when the group differs: the new group may do only what everybody may. */
function forAnyGroup(mode: number): number {
  return mode & (0o707 | ((mode & 0o007) << 3));
}

let firstMark: number | undefined;
let marks = 0;

/** Unique to this process. */
function newMark(): string {
  firstMark ??= randomBytes(6).readUIntBE(0, 6);
  return ((firstMark + marks++) % 2 ** 48).toString(16).padStart(12, '0');
}

/** A path beside the target, so that renaming stays within the file system. */
export function partPath(target: string, mark: string = newMark()): string {
  return join(dirname(target), `.coffer-${mark}.part`);
}

/** Whether a file name, in any form that some file system treats as the same, is that of an incomplete download or of its log. */
export function isPartName(name: string): boolean {
  return /^\.coffer-.*\.part(?:\.log)?$/is.test(name.normalize('NFKC'));
}

/**
 * Whether a file that an earlier run left is one of ours. In a folder that everybody may write to, such as /tmp, another user can
 * create a file under its name, with bytes of their own, and keep writing to it.
 */
export function isOwn(stats: Stats): boolean {
  return stats.isFile() && (process.geteuid === undefined || stats.uid === process.geteuid());
}

/** The sink of every download: a file beside the target that takes the target's name once it is complete. */
export class PartFile {
  readonly path: string;
  readonly #target: string;
  readonly #fd: number;
  #isOpen = true;

  private constructor(path: string, target: string, fd: number) {
    this.path = path;
    this.#target = target;
    this.#fd = fd;
  }

  /** @param path of a file to continue with; default: a new one */
  static async open(target: string, path?: string): Promise<PartFile> {
    const mode = await modeLike(target);
    if (path !== undefined) return new PartFile(path, target, await openOrCreate(path, mode));
    const ownPath = partPath(target);
    return new PartFile(ownPath, target, await disk.open(ownPath, 'wx', mode));
  }

  /** Writes all of `bytes` at `position`. */
  async write(bytes: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      done += await disk.write(this.#fd, bytes, done, position + done);
    }
  }

  /** Fills `target` from `position` on, except beyond the end of the file. */
  async read(target: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < target.length) {
      const bytesRead = await disk.read(this.#fd, target, done, position + done);
      if (bytesRead === 0) return;
      done += bytesRead;
    }
  }

  async resize(size: number): Promise<void> {
    await truncateFile(this.#fd, size);
  }

  /**
   * Renames the file to the target, replacing any file there. Takes over the group and the permissions of a file that is ours.
   * @throws LocalError `is_a_directory`
   */
  async commit(): Promise<void> {
    const existing = await disk.find(this.#target);
    if (existing !== undefined && isOwn(existing)) await this.#copyAttributes(existing);
    await this.close();
    try {
      await disk.rename(this.path, this.#target);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EISDIR' && code !== 'ENOTEMPTY') throw error;
      throw new LocalError('is_a_directory', `${this.#target} is a directory.`, { cause: error });
    }
  }

  async #copyAttributes({ uid, gid, mode }: Stats): Promise<void> {
    const isOfGroup =
      (await disk.stat(this.#fd)).gid === gid ||
      (await changeOwner(this.#fd, uid, gid).then(
        () => true,
        () => false,
      ));
    await changeMode(this.#fd, (isOfGroup ? mode : forAnyGroup(mode)) & permissions).catch(() => {}); // a file system without modes has none to keep
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await disk.close(this.#fd);
  }

  async remove(): Promise<void> {
    await this.close().catch(() => {});
    await rm(this.path, { force: true });
  }
}

/** The mode of a new part file: a user who may not read the target may not read its bytes here either. */
async function modeLike(target: string): Promise<number> {
  const existing = await disk.find(target);
  return existing?.isFile() === true ? (forAnyGroup(existing.mode) & 0o666) | 0o600 : 0o666;
}

async function openOrCreate(path: string, mode: number): Promise<number> {
  let fd: number;
  try {
    fd = await disk.open(path, constants.O_RDWR | (constants.O_NOFOLLOW ?? 0));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return disk.open(path, 'wx+', mode);
  }
  if (isOwn(await disk.stat(fd))) return fd;
  await disk.close(fd);
  throw new LocalError('unsafe_path', `${path}, which the download would continue, is not your file.`);
}
