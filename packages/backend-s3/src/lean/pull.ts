import { call } from '../call.ts';
import { AnswerError, longestError } from '../documents/answer-error.ts';
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
      await call({ ...at, permission: 's3:GetObject' }, ctx, ({ abortSignal }) =>
        client.attempt({ method: 'GET', at, headers: readHeaders(headers) }, abortSignal, async (signed) => {
          let isPassing = false;
          let hasPassed = false;
          const refusal = new Refusal();
          const reception = {
            begin(head: AnswerHead): void {
              if (head.status >= 300) return refusal.begin(head);
              assertNoPage(head.status, head.headers, true);
              isPassing = true;
              begin(objectHeaders(head));
            },
            sink(chunk: Buffer): void | Promise<void> {
              if (!isPassing) return refusal.read(chunk);
              hasPassed = true;
              return sink(chunk);
            },
          };
          try {
            await sockets.exchange(signed, reception, abortSignal);
          } catch (error) {
            throw hasPassed ? new LastAttemptError('after some bytes', { cause: error }) : error;
          }
          if (!isPassing) throw refusal.error();
        }),
      ).finally(release);
      return true;
    },
  };
}

/** Collects an answer that is no success. */
class Refusal {
  #head: AnswerHead | undefined;
  #document = '';

  begin(head: AnswerHead): void {
    this.#head = head;
  }

  read(chunk: Buffer): void {
    if (this.#document.length < longestError) this.#document += chunk.toString();
  }

  error(): Error {
    const { status, headers } = this.#head ?? { status: 0, headers: {} };
    return new AnswerError(status, headers, this.#document);
  }
}
