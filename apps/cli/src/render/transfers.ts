import type { Transfer } from '../bulk/transfer.ts';
import type { ReportStyle } from './bulk-report.ts';
import { printable } from './printable.ts';

const object = ({ bucket, key }: Transfer): string => printable(`${bucket}/${key}`);
const file = ({ path = '' }: Transfer): string => printable(path);
const shared: Pick<ReportStyle<Transfer>, 'json' | 'size'> = {
  json: ({ key, bucket, sourceKey, path, size, etag }) => ({ key, bucket, source_key: sourceKey, path, size_bytes: size, etag }),
  size: ({ size = 0 }) => size,
};

export const uploadStyle: ReportStyle<Transfer> = {
  ...shared,
  verb: 'upload',
  past: 'uploaded',
  line: (transfer) => `${file(transfer)} -> ${object(transfer)}`,
};

export const downloadStyle: ReportStyle<Transfer> = {
  ...shared,
  verb: 'download',
  past: 'downloaded',
  line: (transfer) => `${object(transfer)} -> ${file(transfer)}`,
};

/** For downloads to stdout, which carries the object itself. */
export const toStdoutStyle: ReportStyle<Transfer> = { ...downloadStyle, usesStderr: true };

const fromTo = (transfer: Transfer): string => `${printable(transfer.sourceKey ?? '')} -> ${object(transfer)}`;

export const copyStyle: ReportStyle<Transfer> = { ...shared, verb: 'copy', past: 'copied', line: fromTo };

export const moveStyle: ReportStyle<Transfer> = { ...shared, verb: 'move', past: 'moved', line: fromTo };
