import type { Deleted } from '../bulk/deletion.ts';
import type { ReportStyle } from './bulk-report.ts';
import { printable } from './printable.ts';

export const deleteStyle: ReportStyle<Deleted> = {
  verb: 'delete',
  past: 'deleted',
  member: 'keys',
  line: ({ bucket, key }) => printable(`${bucket}/${key}`),
  json: ({ key }) => key,
  size: ({ size }) => size,
  alwaysShowsDryRun: true,
  after: ({ count, bytes }) => ({ count, bytes }),
  dryRunHint: 'nothing is deleted without --confirm',
};
