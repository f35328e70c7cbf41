import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';

import { noContext } from '@coffer/storage-core';

import { call } from '../call.ts';
import { AnswerError, documentIn } from '../documents/answer-error.ts';
import { isNonS3Status } from '../http/foreign-answer.ts';
import { requestFor } from '../http/node-http.ts';
import { cutError } from '../http/socket-errors.ts';
import { RetryPolicy } from '../retry.ts';
import { encodeKey } from '../signing/signature.ts';
import type { Store } from '../store.ts';
import { answerTo } from './refusals.ts';
import type { Asked } from './refusals.ts';

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

/**
 * Sends a request as a browser without keys would, with the usual retries.
 * @returns whether it succeeds, be it in words that S3 does not use, if the server sticks to them; throws as `answerTo` does
 */
export async function isAcceptedUnsigned(
  store: Store,
  asked: Asked,
  request: Unsigned,
  options?: Parameters<typeof answerTo>[2],
): Promise<boolean> {
  const permission = request.method === 'GET' ? 's3:GetObject' : 's3:PutObject';
  const answer = await answerTo(asked, () => call({ permission }, noContext, () => sendUnsigned(store, request)), options);
  return typeof answer === 'boolean';
}

/** Resolves once the request has succeeded: with whether S3 says it like that. */
async function sendUnsigned(store: Store, request: Unsigned): Promise<boolean> {
  const retries = new RetryPolicy(store.settings);
  for (let attempt = 1; ; attempt++) {
    try {
      return await sendOnce(store, request);
    } catch (error) {
      await retries.waitForRetry(error, attempt, undefined);
    }
  }
}

async function sendOnce(store: Store, { url, method, headers, body }: Unsigned): Promise<boolean> {
  const send = requestFor(url.startsWith('https:'));
  store.connection.wires.giveBack();
  const request = send(url, { method, agent: store.connection.agent, headers, timeout: store.settings.timeout * 1000 });
  request.on('error', () => {}); // the body of the answer reports the error as well
  request.once('timeout', () => request.destroy(Object.assign(new Error('timed out'), { name: 'TimeoutError' })));
  request.end(body);
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  const status = answer.statusCode!;
  const answerHeaders = answer.headers as Readonly<Record<string, string>>;
  const document = await documentIn(answer, undefined);
  if (status >= 300 || isNonS3Status(status)) throw new AnswerError(status, answerHeaders, document);
  if (answer.errored !== null) throw cutError(); // unlike the end of what is too long to be read
  return answerHeaders['etag'] !== undefined || (method === 'POST' && status === 204); // a form that asks for nothing else
}
