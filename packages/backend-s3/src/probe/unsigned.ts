import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';

import { AnswerError } from '../documents/answer-error.ts';
import { toStorageError } from '../errors.ts';
import { requestFor } from '../http/node-http.ts';
import { statusOf } from '../provider-error.ts';
import { RetryPolicy } from '../retry.ts';
import { encodeKey } from '../signing/signature.ts';
import type { Store } from '../store.ts';

/** Statuses that do not answer the request: the next caller who needs to know tries again. */
const inconclusiveStatuses: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);

interface Unsigned {
  readonly url: string;
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body?: Buffer;
}

/** The URL of an object, derived from the URL of its form. */
export function objectUrl(form: string, key: string): string {
  return `${form.replace(/\/$/, '')}/${encodeKey(key)}`;
}

/** Sends a request as a browser without keys would, with the usual retries. @returns whether it succeeded */
export async function isAcceptedUnsigned(store: Store, request: Unsigned): Promise<boolean> {
  const retries = new RetryPolicy(store.settings);
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        return await isAcceptedOnce(store, request);
      } catch (error) {
        await retries.waitForRetry(error, attempt, undefined);
      }
    }
  } catch (error) {
    if (statusOf(error) === 500) return false; // some servers refuse this way
    throw toStorageError(error, { permission: request.method === 'GET' ? 's3:GetObject' : 's3:PutObject' });
  }
}

async function isAcceptedOnce(store: Store, { url, method, headers, body }: Unsigned): Promise<boolean> {
  const send = requestFor(url.startsWith('https:'));
  store.connection.wires.giveBack();
  const request = send(url, { method, agent: store.connection.agent, headers, timeout: store.settings.timeout * 1000 });
  request.on('error', () => {}); // the body of the answer reports the error as well, and has a listener by then
  request.once('timeout', () => request.destroy(Object.assign(new Error('timed out'), { name: 'TimeoutError' })));
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const { statusCode = 0 } = response;
  response.resume();
  await once(response, 'close');
  if (inconclusiveStatuses.has(statusCode)) throw new AnswerError(statusCode, {}, '');
  return statusCode >= 200 && statusCode < 300;
}
