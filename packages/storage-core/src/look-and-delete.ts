import type { StorageBackend } from './backend.ts';
import { evaluateConditions } from './conditions.ts';
import type { CallContext } from './context.ts';
import { hasCode, storageError } from './errors.ts';
import type { ObjectAddress } from './object.ts';

/**
 * Deletes an object if it has this ETag when it is looked at, for providers that cannot compare and delete in one step: what is written
 * between the two is deleted as well.
 * @throws no_such_bucket, precondition_failed, also if there is no object
 */
export async function lookAndDelete(
  backend: Pick<StorageBackend, 'head' | 'delete'>,
  at: ObjectAddress,
  etag: string,
  ctx: CallContext,
): Promise<void> {
  const info = await backend.head(at, ctx).catch((error: unknown) => {
    if (hasCode(error, 'file_not_found')) throw storageError('precondition_failed', 'There is no object with this key.', { cause: error });
    throw error;
  });
  evaluateConditions(info, { ifMatch: [etag] });
  await backend.delete(at, ctx);
}
