import { destroyOnAbort, storageError } from '@coffer/storage-core';

import { toStorageError } from './errors.ts';
import type { AnswerBody } from './http/answer-body.ts';

/**
 * Keeps what an open body promises: failures of the provider are StorageErrors, its reader is told of them and of bytes in the context
 * of the call (`AsyncLocalStorage`), an aborted signal destroys it, and one that makes no progress for `idleSeconds`, whoever is to blame, is given up, so that a forgotten body frees its socket.
 */
export function guardBody(
  body: AnswerBody,
  { signal, idleSeconds, closed }: { readonly signal: AbortSignal | undefined; readonly idleSeconds: number; readonly closed: () => void },
): void {
  body.bindContext();
  body.on('error', () => {}); // nobody may be reading yet
  translateErrors(body, signal);
  const timer = watch(body, idleSeconds);
  body.once('close', () => {
    clearInterval(timer);
    closed();
  });
  destroyOnAbort(body, signal);
}

/** `destroy` is the one door that every error of an answer passes. */
function translateErrors(body: AnswerBody, signal: AbortSignal | undefined): void {
  const destroy = body.destroy.bind(body);
  const translated: AnswerBody['destroy'] = (error) => {
    // Errors with which readers end their interest are theirs, such as those of a file or a connection that they write to.
    const isOwn = error === undefined || error === null || error === signal?.reason || error !== body.failure;
    return destroy(isOwn ? error : toStorageError(error, { permission: 's3:GetObject' }));
  };
  body.destroy = translated;
}

function watch(body: AnswerBody, seconds: number): NodeJS.Timeout {
  let [received, left] = [-1, -1];
  let idleSince = performance.now();
  const look = (): void => {
    const now = body.received;
    // A reader who takes from what is in memory already is not idle either.
    if (now !== received || body.readableLength !== left || (body.readableFlowing === true && left > 0)) {
      [received, left] = [now, body.readableLength];
      idleSince = performance.now();
    } else if (performance.now() - idleSince >= seconds * 1000) {
      body.destroy(storageError('read_timeout', `The body of the object made no progress for ${seconds} s.`));
    }
  };
  look();
  return setInterval(look, Math.max(50, seconds * 250)).unref();
}
