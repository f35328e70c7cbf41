import { randomBytes } from 'node:crypto';
import { constants, fchmod, fchown, ftruncate, rm } from 'node:fs';
import type { Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

import { LocalError } from '../problem.ts';
import { disk } from './disk.ts';

const changeMode = promisify(fchmod);
const changeOwner = promisify(fchown);
const truncateFile = promisify(ftruncate);
const removeFile = promisify(rm);

/** Of the mode of a file, without what would make a program run as its owner. */
const permissions = 0o777;

/** What of a mode is handed on where the group is another one: that may do what all may. */
function forAnyGroup(mode: number): number {
  return mode & (0o707 | ((mode & 0o007) << 3));
}

let firstMark: number | undefined;
let marks = 0;

/** Of this process alone. */
function newMark(): string {
  firstMark ??= randomBytes(6).readUIntBE(0, 6);
  return ((firstMark + marks++) % 2 ** 48).toString(16).padStart(12, '0');
}

/** A name beside the target, so that renaming stays within the file system. */
export function partPath(target: string, mark: string = newMark()): string {
  return join(dirname(target), `.coffer-${mark}.part`);
}

/** Whether a file of this name, or one that some file system takes for it, is a download that is not complete, or the log of one. */
export function isPartName(name: string): boolean {
  return /^\.coffer-.*\.part(?:\.log)?$/is.test(name.normalize('NFKC'));
}

/**
 * Whether a file that an earlier run has left is one of ours. In a folder that all may write to, such as /tmp, anybody else can put
 * one under its name, with bytes of his own, and go on writing to it.
 */
export function isOwn(stats: Stats): boolean {
  return stats.isFile() && (process.geteuid === undefined || stats.uid === process.geteuid());
}

/** The sink of every download: a file beside the target that takes its name once it is whole. */
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

  /** @param path of a file to go on with; default a new one */
  static async open(target: string, path?: string): Promise<PartFile> {
    const mode = await modeBeside(target);
    if (path !== undefined) return new PartFile(path, target, await openOrCreate(path, mode));
    const own = partPath(target);
    return new PartFile(own, target, await disk.open(own, 'wx', mode));
  }

  /** All of `bytes` at `position`. */
  async write(bytes: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      done += await disk.write(this.#fd, bytes, done, position + done);
    }
  }

  /** Fills `target` from `position` on. @returns how many bytes there are, fewer at the end only */
  async read(target: Uint8Array, position: number): Promise<number> {
    let done = 0;
    for (let got = -1; got !== 0 && done < target.length; done += got) got = await disk.read(this.#fd, target, done, position + done);
    return done;
  }

  async resize(size: number): Promise<void> {
    await truncateFile(this.#fd, size);
  }

  /** Gives it the target's name, over whatever file has it, and takes the group and the permissions of one that is ours. @throws LocalError `is_a_directory` */
  async commit(): Promise<void> {
    const former = await disk.find(this.#target);
    if (former !== undefined && isOwn(former)) await this.#resemble(former);
    await this.close();
    try {
      await disk.rename(this.path, this.#target);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EISDIR' && code !== 'ENOTEMPTY') throw error;
      throw new LocalError('is_a_directory', `${this.#target} is a directory.`, { cause: error });
    }
  }

  async #resemble({ uid, gid, mode }: Stats): Promise<void> {
    const isOfGroup =
      (await disk.stat(this.#fd)).gid === gid ||
      (await changeOwner(this.#fd, uid, gid).then(
        () => true,
        () => false,
      ));
    await changeMode(this.#fd, (isOfGroup ? mode : forAnyGroup(mode)) & permissions).catch(() => {}); // file systems that keep none have none to lose
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await disk.close(this.#fd);
  }

  async remove(): Promise<void> {
    await this.close().catch(() => {});
    await removeFile(this.path, { force: true });
  }
}

/** Of a new part file: whoever may not read its target may not read the bytes that will be there. */
async function modeBeside(target: string): Promise<number> {
  const former = await disk.find(target);
  return former?.isFile() === true ? (forAnyGroup(former.mode) & 0o666) | 0o600 : 0o666;
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
