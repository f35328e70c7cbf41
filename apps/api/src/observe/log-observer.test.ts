import type { OperationEvent } from '@coffer/storage-core';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';

import { allObservers, logObserver } from './log-observer.ts';

const event: OperationEvent = {
  operation: 'upload',
  kind: 'object',
  backend: 's3',
  bucket: 'b',
  tenant: 'acme',
  requestId: 'r',
  outcome: 'success',
  ms: 1.234,
  bytes: 5,
};

function linesOf(events: readonly OperationEvent[], level = 'debug'): Record<string, unknown>[] {
  const lines: Record<string, unknown>[] = [];
  const observer = logObserver(
    pino({ level, base: null }, { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) }),
  );
  for (const each of events) observer.operation?.(each);
  return lines;
}

describe('the log of storage calls', () => {
  it('says what was done, for debugging', () => {
    expect(linesOf([event])).toEqual([
      {
        level: 20,
        time: expect.any(Number),
        operation: 'upload',
        backend: 's3',
        bucket: 'b',
        tenant: 'acme',
        request_id: 'r',
        outcome: 'success',
        ms: 1.2,
        bytes: 5,
        msg: 'storage',
      },
    ]);
    expect(linesOf([event], 'info')).toEqual([]);
  });

  it('warns of what the provider does wrong, and of nothing that callers ask for', () => {
    const failed = (code: NonNullable<OperationEvent['code']>, backend = 's3'): OperationEvent => ({
      ...event,
      outcome: 'error',
      code,
      backend,
    });
    for (const code of ['storage_unavailable', 'connect_timeout', 'read_timeout', 'access_denied', 'internal_error'] as const)
      expect(linesOf([failed(code)], 'info')).toMatchObject([{ level: 40, code }]);
    for (const code of [
      'file_not_found',
      'no_such_bucket',
      'precondition_failed',
      'range_not_satisfiable',
      'checksum_mismatch',
      'invalid_argument',
      'bucket_not_empty',
      'aborted',
    ] as const)
      expect(linesOf([failed(code)], 'info')).toEqual([]);
    expect(linesOf([{ ...failed('access_denied', 'local'), operation: 'download' }], 'info')).toEqual([]);
    expect(linesOf([failed('access_denied', 'local')], 'info')).toHaveLength(1); // for example a directory that is not writable
  });
});

describe('several observers', () => {
  it('all get every event', () => {
    const received: string[] = [];
    const observer = (name: string) => ({
      operation: () => void received.push(`${name} operation`),
      transfer: () => void received.push(`${name} transfer`),
    });
    const all = allObservers(observer('a'), {}, observer('b'));
    all.operation?.(event);
    all.transfer?.({ direction: 'upload', backend: 's3', bytes: 1 });
    expect(received).toEqual(['a operation', 'b operation', 'a transfer', 'b transfer']);
  });
});
