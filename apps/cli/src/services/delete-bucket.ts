import type { Session } from './open-session.ts';

/** Deletes a bucket, or without `confirm` counts what it holds. @throws no_such_bucket, bucket_not_empty */
export async function deleteBucket(
  { storage, ctx }: Session,
  bucket: string,
  { confirm, force }: { readonly confirm: boolean; readonly force: boolean },
): Promise<{ readonly count: number; readonly bytes: number }> {
  let count = 0;
  let bytes = 0;
  if (confirm) {
    await storage.deleteBucket(bucket, { force }, ctx);
    return { count, bytes };
  }
  for await (const { size } of storage.listFiles({ bucket }, ctx)) {
    count += 1;
    bytes += size;
  }
  return { count, bytes };
}
