import type { Swept, SweepRequest } from '../services/sweep.ts';
import { bytesText, countText } from './units.ts';

export function sweptJson({ objects, files }: Swept): object {
  return { objects: objects ?? null, files: files ?? null };
}

export function sweptText({ objects, files }: Swept, { dryRun, bucket }: SweepRequest): string {
  const verb = dryRun ? 'would remove' : 'removed';
  const ofObjects =
    objects === undefined
      ? 'objects: this backend has nothing to sweep'
      : `objects: ${verb} ${countText(objects.removed, 'unfinished upload or unused object', 'unfinished uploads and unused objects')} (${bytesText(objects.bytes)})`;
  if (bucket !== undefined) return ofObjects;
  const ofFiles =
    files === undefined
      ? 'files: there is no database'
      : `files: ${verb} ${countText(files.expired, 'expired upload')}, ${countText(files.failed, 'failed upload')}, ${countText(files.deleted, 'deleted file')}, ${countText(files.received, 'used upload form')}`;
  return `${ofObjects}\n${ofFiles}`;
}
