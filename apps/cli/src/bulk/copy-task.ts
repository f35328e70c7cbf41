import { hasCode, keyProblem } from '@coffer/storage-core';
import type { CannedAcl } from '@coffer/storage-core';

import { LocalError } from '../problem.ts';
import type { Session } from '../services/open-session.ts';
import type { PlannedCopy } from './plan-copies.ts';
import type { Task } from './task.ts';
import type { Transfer } from './transfer.ts';

export interface CopySettings {
  readonly session: Session;
  readonly fromBucket: string;
  readonly toBucket: string;
  /** Delete each source once it is copied. */
  readonly move: boolean;
  readonly acl?: CannedAcl | undefined;
  readonly storageClass?: string | undefined;
  /** Skip objects that the destination already has with the same size and ETag; a move does not delete their sources either. */
  readonly update: boolean;
}

export function copyTask({ from, to, listed }: PlannedCopy, settings: CopySettings): Task<Transfer> {
  const { session, fromBucket, toBucket, acl, storageClass } = settings;
  const { storage, ctx, shortCtx } = session;
  const source = { bucket: fromBucket, key: from };
  const destination = { bucket: toBucket, key: to };
  return {
    subject: { key: from },
    bytes: listed?.size,
    async preview() {
      assertNewKey(to);
      if (settings.update && (await isThere())) return [];
      const { size, etag } = listed ?? (await storage.getFileInfo(source, ctx));
      return [{ ...destination, sourceKey: from, size, etag }];
    },
    async run(running) {
      assertNewKey(to);
      if (settings.update && (await isThere())) return { done: [], skipped: 1 };
      const copy = { source, destination, acl, storageClass };
      const { size, etag } = await (settings.move ? storage.moveFile(copy, shortCtx) : storage.copyFile(copy, shortCtx));
      running.moved(size);
      return { done: [{ ...destination, sourceKey: from, size, etag }] };
    },
  };

  async function isThere(): Promise<boolean> {
    try {
      const [wanted, found] = await Promise.all([listed ?? storage.getFileInfo(source, ctx), storage.getFileInfo(destination, ctx)]);
      return wanted.size === found.size && wanted.etag === found.etag;
    } catch (error) {
      if (hasCode(error, 'file_not_found')) return false;
      throw error;
    }
  }
}

/** The failure of a copy is reported under the key of its source. */
function assertNewKey(key: string): void {
  const problem = keyProblem(key);
  if (problem !== undefined) throw new LocalError('invalid_key', `${key}: ${problem}`);
}
