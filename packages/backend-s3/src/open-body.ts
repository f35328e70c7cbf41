import { destroyOnAbort, storageError } from '@coffer/storage-core';

import { toStorageError } from './errors.ts';
import type { AnswerBody } from './http/answer-body.ts';

/**
 * Guards an open body. Failures of the provider become StorageErrors. Its events reach the reader in the context of the call
 * (`AsyncLocalStorage`). An aborted signal destroys it. So does a lack of progress for `idleSeconds`, whoever is to blame, so that a
 * forgotten body frees its socket.
 */
export function guardBody(
  body: AnswerBody,
  {
    signal,
    idleSeconds,
    onClose,
  }: { readonly signal: AbortSignal | undefined; readonly idleSeconds: number; readonly onClose: () => void },
): void {
  body.bindContext();
  body.on('error', () => {}); // nobody may be reading yet
  translateErrors(body);
  const timer = watchProgress(body, idleSeconds);
  body.once('close', () => {
    clearInterval(timer);
    onClose();
  });
  destroyOnAbort(body, signal);
}

/** Every error of an answer passes through `destroy`. */
function translateErrors(body: AnswerBody): void {
  const destroy = body.destroy.bind(body);
  const translated: AnswerBody['destroy'] = (error) => {
    // Readers may end their interest with errors of their own, such as those of the file or connection that they write to. These stay as
    // they are.
    const isOwn = error === undefined || error !== body.failure;
    return destroy(isOwn ? error : toStorageError(error, { permission: 's3:GetObject' }));
  };
  body.destroy = translated;
}

function watchProgress(body: AnswerBody, seconds: number): NodeJS.Timeout {
  let [received, left] = [-1, -1];
  let idleSince = performance.now();
  const check = (): void => {
    const now = body.received;
    // A reader who consumes what is already in memory is not idle either.
    if (now !== received || body.readableLength !== left || (body.readableFlowing === true && left > 0)) {
      [received, left] = [now, body.readableLength];
      idleSince = performance.now();
    } else if (performance.now() - idleSince >= seconds * 1000) {
      body.destroy(storageError('read_timeout', `The body of the object made no progress for ${seconds} s.`));
    }
  };
  check();
  return setInterval(check, Math.max(50, seconds * 250)).unref();
}
