import { call } from '../call.ts';
import { AnswerError, longestError, saysEnough } from '../documents/answer-error.ts';
import { readPermission } from '../errors.ts';
import { assertNoPage } from '../http/foreign-answer.ts';
import type { AnswerHead } from '../http/raw-answer.ts';
import type { RawSockets } from '../http/raw-sockets.ts';
import type { Transport } from '../transport.ts';
import { LastAttemptError } from './client.ts';
import type { LeanClient } from './client.ts';
import { objectHeaders, readHeaders } from './headers.ts';

/** Reads without a stream. */
export function leanPull(client: LeanClient, sockets: RawSockets): Pick<Required<Transport>, 'pull'> {
  return {
    async pull(at, headers, { begin, sink }, ctx) {
      const release = sockets.lease();
      if (release === undefined) return false;
      await call({ ...at, permission: readPermission }, ctx, ({ abortSignal }) =>
        client.attempt({ method: 'GET', at, headers: readHeaders(headers) }, abortSignal, async (signed) => {
          let hasPassed = false;
          const refusal: { head?: AnswerHead; document: string } = { document: '' };
          const reception = {
            begin(head: AnswerHead): void {
              if (head.status >= 300) return void (refusal.head = head);
              assertNoPage(head.status, head.headers, true);
              begin(objectHeaders(head));
            },
            sink(chunk: Buffer): void | Promise<void> {
              if (refusal.head !== undefined) {
                refusal.document += chunk.toString();
                if (refusal.document.length > longestError) throw new Error('an error without end');
                return;
              }
              hasPassed = true;
              return sink(chunk);
            },
          };
          try {
            await sockets.exchange(signed, reception, abortSignal);
          } catch (error) {
            if (hasPassed) throw new LastAttemptError('after some bytes', { cause: error });
            if (refusal.head === undefined || !saysEnough(refusal.head.status, refusal.document)) throw error;
          }
          const { head, document } = refusal;
          if (head !== undefined) throw new AnswerError(head.status, head.headers, document);
        }),
      ).finally(release);
      return true;
    },
  };
}
