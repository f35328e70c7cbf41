import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';

import type { ObjectAddress, PresignedUpload } from '@coffer/storage-core';

import { AnswerError } from './answer-error.ts';
import { toStorageError } from './errors.ts';
import { requestFor } from './node-http.ts';
import { encodeKey } from './signature.ts';
import type { Store } from './store.ts';

/** What says nothing of forms: the next one who needs to know tries again. */
const busy: ReadonlySet<number> = new Set([408, 429, 502, 503, 504]);
const boundary = 'coffer-probe-form';

/** Sends a presigned form as a browser would. @returns whether the server took it */
export async function sendForm(store: Store, { url, fields }: PresignedUpload, content: string): Promise<boolean> {
  const parts = [
    ...Object.entries(fields).map(([name, value]) => `Content-Disposition: form-data; name="${name}"\r\n\r\n${value}`),
    `Content-Disposition: form-data; name="file"; filename="probe"\r\nContent-Type: text/plain\r\n\r\n${content}`,
  ];
  const body = Buffer.from(`${parts.map((part) => `--${boundary}\r\n${part}\r\n`).join('')}--${boundary}--\r\n`);
  const headers = { 'content-type': `multipart/form-data; boundary=${boundary}`, 'content-length': body.length };
  return isTaken(store, { url, method: 'POST', headers, body }, 's3:PutObject');
}

/** Whether anybody may read an object, without a signature. */
export async function isOpenToAll(store: Store, at: ObjectAddress): Promise<boolean> {
  const { url } = await store.presigner.privateForm(at, { expiresIn: 600 });
  return isTaken(store, { url: `${url.replace(/\/$/, '')}/${encodeKey(at.key)}`, method: 'GET', headers: {} }, 's3:GetObject');
}

interface Unsigned {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body?: Buffer;
}

async function isTaken(store: Store, { url, method, headers, body }: Unsigned, permission: string): Promise<boolean> {
  const send = requestFor(url.startsWith('https:'));
  store.connection.wires.giveBack();
  const request = send(url, { method, agent: store.connection.agent, headers, timeout: store.settings.timeout * 1000 });
  request.once('timeout', () => request.destroy(Object.assign(new Error('timed out'), { name: 'TimeoutError' })));
  request.end(body);
  try {
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const { statusCode = 0 } = response;
    response.resume();
    await once(response, 'close');
    if (busy.has(statusCode)) throw new AnswerError(statusCode, {}, '');
    return statusCode >= 200 && statusCode < 300;
  } catch (error) {
    throw toStorageError(error, { permission });
  }
}
