import { readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';

import type { ObjectAddress, ObjectInfo, ObjectStream } from '@coffer/storage-core';

import { isOfFileSystem, LocalError, problemOf } from '../problem.ts';
import { assertMatchesEtag, assertSize, checkFor, mismatchOf } from './verification.ts';
import type { CheckSettings } from './verification.ts';
import { hasBytesOf } from './checksums.ts';
import type { Folders } from './folders.ts';
import type { NameClaims } from './name-claims.ts';
import { LargeDownload, largeAbove } from './large-download.ts';
import { streamAbove } from './local-file.ts';
import { PartFile } from './part-file.ts';
import { folderWithContentError } from './plan-downloads.ts';
import type { PlannedDownload } from './plan-downloads.ts';
import { releaseBuffer, takeBuffer } from './read-buffers.ts';
import { assertTarget } from './target-path.ts';
import type { Outcome, Running, Task } from './task.ts';
import type { Transfer } from './transfer.ts';

export interface DownloadSettings extends CheckSettings {
  readonly bucket: string;
  readonly folders: Folders;
  readonly nameClaims: NameClaims;
  /** Skip objects whose file has the same size and bytes. */
  readonly update: boolean;
  /** Continue from what an earlier run left, and leave what a later run can continue from. */
  readonly resume: boolean;
  /** Whether the user chose the file name, so that it does not come from a key. */
  readonly isNamed: boolean;
}

export function downloadTask(planned: PlannedDownload, settings: DownloadSettings): Task<Transfer> {
  const { key, name, listed } = planned;
  const { bucket, session, folders } = settings;
  let large: LargeDownload | undefined; // later attempts continue it
  const done = (path: string, { size, etag }: Pick<ObjectInfo, 'size' | 'etag'>): Outcome<Transfer> => ({
    done: [{ key, bucket, path, size, etag }],
  });
  return {
    subject: { key },
    bytes: listed?.size,
    async preview() {
      if (!settings.isNamed) assertTarget(name);
      const path = folders.pathOf(name);
      if (settings.update && (await isCurrent(path, planned, settings))) return [];
      const { size, etag } = listed ?? (await session.storage.getFileInfo({ bucket, key }, session.ctx));
      return [{ key, bucket, path, size, etag }];
    },
    async run(running) {
      if (!settings.isNamed) assertTarget(name);
      return download(running).catch((error: unknown) => {
        throw withPath(folders.pathOf(name), error);
      });
    },
    abandon: async () => large?.abandon(),
  };

  async function download(running: Running): Promise<Outcome<Transfer>> {
    if (name.endsWith('/')) return done(await makeFolder(planned, settings), { size: 0, etag: listed?.etag ?? '' });
    // A link that the user named stays: what is replaced is the file that it leads to. Results have the path of the link.
    const target = settings.isNamed ? await endOfLinks(folders.pathOf(name)) : folders.pathOf(name);
    await settings.nameClaims.claim(name);
    const path = await folders.pathFor(name);
    if (settings.update && (await isCurrent(path, planned, settings))) return { done: [], skipped: 1 };
    if (large === undefined && listed !== undefined && listed.size <= streamAbove) {
      const saved = await saveSmall({ bucket, key, size: listed.size }, target, settings, running);
      if (saved !== undefined) return done(path, saved);
    }
    if (large === undefined && (listed?.size ?? 0) <= largeAbove) {
      const opened = await session.storage.openFile({ bucket, key }, {}, session.ctx);
      running.sized(opened.info.size);
      if (opened.info.size <= largeAbove) return done(path, await save(opened, target, settings, running));
      opened.body.destroy();
      large = new LargeDownload({ at: { bucket, key }, target, info: opened.info, ...settings });
    }
    large ??= new LargeDownload({ at: { bucket, key }, target, ...settings });
    return done(path, await large.run(running));
  }
}

/** Adds the path to errors of the file system: failures are reported by key, and here the path says more. */
function withPath(path: string, error: unknown): unknown {
  if (!isOfFileSystem(error)) return error;
  const { code, message } = problemOf(error);
  return new LocalError(code, `${path}: ${message}`, { cause: error });
}

/** The target of the links that the user named. @throws LocalError `not_a_file` for pipes and devices, which a file would replace */
async function endOfLinks(path: string): Promise<string> {
  const found = await stat(path).catch(({ code }: NodeJS.ErrnoException) => code);
  if (found === 'ENOENT') return endOfDanglingLinks(path);
  if (typeof found !== 'object') return path; // what is wrong there fails the download, unless the path is a link that can be replaced
  if (!found.isFile() && !found.isDirectory()) {
    throw new LocalError('not_a_file', `${path} is neither a file nor a directory; "--output -" writes to stdout.`);
  }
  return realpath(path);
}

/** The path of the file that links will lead to once it exists. */
async function endOfDanglingLinks(path: string): Promise<string> {
  const target = await readlink(path).catch(() => undefined); // not a link, or nothing at all
  if (target === undefined) return path;
  const end = isAbsolute(target) ? target : `${dirname(path)}/${target}`;
  // Nothing is left out before: ".." behind a link is above the folder that the link leads to.
  return endOfLinks(join(await realpath(dirname(end)), basename(end)));
}

/** Provider consoles create empty objects to represent folders. */
async function makeFolder({ key, name, listed }: PlannedDownload, { folders }: DownloadSettings): Promise<string> {
  if ((listed?.size ?? 0) > 0) throw folderWithContentError(key);
  const path = folders.pathOf(name);
  await folders.prepare(path);
  return path;
}

/**
 * Reads an object into memory, without a stream, and checks it before creating any file.
 * @param at.size as it was listed
 * @returns undefined, and nothing is saved, if the object is too large for that now
 */
async function saveSmall(
  { size: expected, ...at }: ObjectAddress & { readonly size: number },
  target: string,
  settings: DownloadSettings,
  running: Running,
): Promise<ObjectInfo | undefined> {
  const { session, etagTrust } = settings;
  let buffer = takeBuffer(expected);
  let size = 0;
  const tooLarge = new Error('The object has grown since it was listed.');
  const take = (chunk: Uint8Array): void => {
    if (size + chunk.length > streamAbove) throw tooLarge;
    if (size + chunk.length > buffer.length) {
      const larger = takeBuffer(Math.min(2 * (size + chunk.length), streamAbove)); // the object has changed since it was listed
      larger.set(buffer.subarray(0, size));
      buffer = larger;
    }
    buffer.set(chunk, size);
    size += chunk.length;
    running.moved(chunk.length);
  };
  const pulled = await session.storage.pullFile(at, {}, take, session.ctx).catch((error: unknown) => {
    if (error !== tooLarge) throw error;
    running.moved(-size);
  });
  if (pulled === undefined) return undefined;
  const { info } = pulled;
  assertSize(size, info.size);
  const bytes = buffer.subarray(0, size);
  await assertMatchesEtag(info, mismatchOf(bytes, info, etagTrust), settings);
  await withPart(target, (part) => part.write(bytes, 0));
  releaseBuffer(buffer);
  return info;
}

/** The bytes are checked before the file gets its name. */
async function save(opened: ObjectStream, target: string, settings: DownloadSettings, running: Running): Promise<ObjectInfo> {
  const { info } = opened;
  const mismatch = await saveStream(opened, target, settings, running);
  if (mismatch === undefined) return info;
  await assertMatchesEtag(info, mismatch, settings);
  const reopened = await settings.session.storage.openFile({ bucket: info.bucket, key: info.key }, {}, settings.session.ctx);
  return save(reopened, target, settings, running);
}

async function saveStream(
  { info, body }: ObjectStream,
  target: string,
  { etagTrust }: DownloadSettings,
  running: Running,
): Promise<string | undefined> {
  const check = checkFor(info, etagTrust);
  let mismatch: string | undefined;
  await withPart(target, async (part) => {
    let size = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      check?.update(chunk);
      await part.write(chunk, size);
      size += chunk.length;
      running.moved(chunk.length);
    }
    assertSize(size, info.size);
    mismatch = check?.mismatch();
    return mismatch === undefined;
  });
  return mismatch;
}

/** The file gets its name unless `fill` fails or returns false. */
async function withPart(target: string, fill: (part: PartFile) => Promise<boolean | void>): Promise<void> {
  const part = await PartFile.open(target);
  try {
    if ((await fill(part)) === false) await part.remove();
    else await part.commit();
  } catch (error) {
    await part.remove();
    throw error;
  }
}

async function isCurrent(path: string, { key, listed }: PlannedDownload, { session, bucket }: DownloadSettings): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || !found.isFile()) return false;
  const info = listed ?? (await session.storage.getFileInfo({ bucket, key }, session.ctx));
  return found.size === info.size && hasBytesOf(path, info, session.ctx.signal);
}
