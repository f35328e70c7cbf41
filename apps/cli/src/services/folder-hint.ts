import { hasCode } from '@coffer/storage-core';
import type { ObjectAddress } from '@coffer/storage-core';

import { folderPrefix, patternHint } from '../bulk/prefix.ts';
import type { Task } from '../bulk/task.ts';
import { LocalError } from '../problem.ts';
import type { Session } from './open-session.ts';

/** Whether a key looks like a folder: it is a prefix of other objects. */
export async function isFolderKey({ storage, ctx }: Session, { bucket, key }: ObjectAddress): Promise<boolean> {
  const { objects } = await storage.listFiles({ bucket, prefix: folderPrefix(key), maxKeys: 1 }, ctx);
  return objects.length > 0;
}

/** The task for a named object; if there is no such object but a folder of that name, or the name is a pattern, the error says so. */
export function withFolderHint<R>(task: Task<R>, session: Session, at: ObjectAddress): Task<R> {
  const addHint = async (error: unknown): Promise<never> => {
    if (!hasCode(error, 'file_not_found')) throw error;
    const pattern = patternHint(at.key);
    if (pattern !== '') throw new LocalError('file_not_found', `There is no such object.${pattern}`);
    if (!(await isFolderKey(session, at).catch(() => false))) throw error;
    const folder = folderPrefix(at.key);
    throw new LocalError('file_not_found', `There is no such object, but there are objects below ${folder}; use --recursive for those.`);
  };
  return {
    ...task,
    preview: async () => Promise.resolve(task.preview()).catch(addHint),
    run: (running) => task.run(running).catch(addHint),
  };
}

/** Without --recursive, patterns match whole keys: one for names below a folder matches none. */
export const noneSelectedNote = 'note: the patterns select none of the named objects; with --recursive, they select among those below.';
