import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';

import type { PresignedUpload } from '@coffer/storage-core';

import { AnswerError } from './answer-error.ts';
import { toStorageError } from './errors.ts';
import { requestFor } from './node-http.ts';
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
  const send = requestFor(url.startsWith('https:'));
  const headers = { 'content-type': `multipart/form-data; boundary=${boundary}`, 'content-length': body.length };
  store.connection.wires.giveBack();
  const request = send(url, { method: 'POST', agent: store.connection.agent, headers, timeout: store.settings.timeout * 1000 });
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
    throw toStorageError(error, { permission: 's3:PutObject' });
  }
}
