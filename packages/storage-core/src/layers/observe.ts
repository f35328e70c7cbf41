import type { Readable } from 'node:stream';

import { isDirectSource, readInto } from '../body/file-body.ts';
import { wholeBodyLength } from '../body/whole-body.ts';
import { isStorageError } from '../errors.ts';
import type { GetResult } from '../object.ts';
import type { Observer, OperationEvent } from '../observer.ts';
import type { Around, Call } from './wrap-backend.ts';

/**
 * Times every call, counts its bytes as they pass, and tells the observer once it is over. What the observer throws is an uncaught
 * exception: within the call, it would fail what the backend has done, or stop a body for good.
 */
export function observe(observer: Observer): Around {
  return async <T>(call: Call, next: () => Promise<T>): Promise<T> => {
    const started = performance.now();
    const tenant = call.ctx.tenant === undefined ? {} : { tenant: call.ctx.tenant };
    let bytes = 0;
    let isOver = false;
    const count = (direction: 'upload' | 'download', length: number): void => {
      if (isOver) return; // a source may go on for a moment after its upload has failed
      bytes += length;
      try {
        observer.transfer?.({ direction, backend: call.backend, ...tenant, bytes: length });
      } catch (error) {
        throwOutside(error);
      }
    };
    const report = (outcome: OperationEvent['outcome'], code?: OperationEvent['code']): void => {
      isOver = true;
      const event: OperationEvent = {
        operation: call.operation,
        kind: call.kind,
        backend: call.backend,
        ...(call.bucket !== undefined && { bucket: call.bucket }),
        ...tenant,
        ...(call.ctx.requestId !== undefined && { requestId: call.ctx.requestId }),
        outcome,
        ...(code !== undefined && { code }),
        ms: performance.now() - started,
        bytes,
      };
      try {
        observer.operation?.(event);
      } catch (error) {
        throwOutside(error);
      }
    };

    if (call.body?.kind === 'stream') countBytes(call.body.stream, (length) => count('upload', length));
    call.taps?.push((length) => count('download', length));
    let result: T;
    try {
      result = await next();
    } catch (error) {
      report('error', codeOf(error, call));
      throw error;
    }
    if (call.body?.kind === 'buffer') count('upload', call.body.data.byteLength);
    const opened = call.opens ? (result as GetResult) : undefined;
    if (opened?.kind !== 'object') {
      report('success');
      return result;
    }
    const { body } = opened;
    const size = wholeBodyLength(body);
    if (size !== undefined) {
      // The provider has done its part; what the reader does with the bytes is no download.
      count('download', size);
      report('success');
      return result;
    }
    countBytes(body, (length) => count('download', length));
    onEnded(body, (error) => {
      if (error === undefined) report('success');
      else if (isStorageError(error)) report('error', error.code);
      // The provider, whose failures are StorageErrors, did its part: the reader did not want the rest, or could not take it.
      else report('success', 'aborted');
    });
    return result;
  };
}

function throwOutside(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

/**
 * Reports once how a body ended: `closed` if it was closed before its end. `finished` of `node:stream` does this for any stream, but costs
 * several times as much.
 */
function onEnded(body: Readable, callback: (error?: Error | 'closed') => void): void {
  let hasEnded = false;
  const once = (error?: Error | 'closed'): void => {
    if (hasEnded) return;
    hasEnded = true;
    callback(error);
  };
  body.on('end', () => once());
  body.on('error', once);
  body.on('close', () => once('closed'));
  if (body.closed) once(body.readableEnded ? undefined : (body.errored ?? 'closed'));
}

/** A backend rejects with StorageErrors, except for errors caused by the caller's signal, stream or sink. */
function codeOf(error: unknown, call: Call): NonNullable<OperationEvent['code']> {
  if (isStorageError(error)) return error.code;
  const { body, ctx, taps } = call;
  if (taps !== undefined || ctx.signal?.aborted === true) return 'aborted';
  return body?.kind === 'stream' && body.stream.destroyed ? 'aborted' : 'internal_error';
}

/**
 * Counts what a stream yields. Every chunk of a Readable passes through `push`; a `data` listener would start the flow, and a Transform
 * would copy every chunk through another buffer. Direct sources also yield bytes through `readInto`.
 */
function countBytes(stream: Readable, count: (bytes: number) => void): void {
  if (stream.readableLength > 0) count(stream.readableLength);
  if (isDirectSource(stream)) {
    const read = stream[readInto].bind(stream);
    const counted: typeof read = async (target) => {
      const bytes = await read(target);
      count(bytes);
      return bytes;
    };
    stream[readInto] = counted;
  }
  const push = stream.push.bind(stream);
  const counted = (chunk: unknown, encoding?: BufferEncoding): boolean => {
    if (typeof chunk === 'string') count(Buffer.byteLength(chunk, encoding));
    else if (ArrayBuffer.isView(chunk)) count(chunk.byteLength);
    return push(chunk, encoding);
  };
  stream.push = counted;
}
