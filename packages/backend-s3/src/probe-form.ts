import type { PresignedUpload } from '@coffer/storage-core';

import type { Sandbox } from './probe-sandbox.ts';
import { isTakenUnsigned } from './probe-unsigned.ts';
import type { Store } from './store.ts';

const boundary = 'coffer-probe-form';

/** Takes what the policy of a form allows, and nothing else. */
export async function postPolicyHolds(store: Store, sandbox: Sandbox): Promise<boolean> {
  const form = await store.presigner.privateForm(sandbox.at('form'), { contentType: 'text/plain', size: 4, expiresIn: 600 });
  if (!(await sendForm(store, form, 'form'))) return false;
  const changed = (fields: Readonly<Record<string, string>>): PresignedUpload => ({ ...form, fields: { ...form.fields, ...fields } });
  const taken = await Promise.all([
    sendForm(store, form, 'longer'),
    sendForm(store, changed({ 'Content-Type': 'text/html' }), 'form'),
    sendForm(store, changed({ key: sandbox.at('form-elsewhere').key }), 'form'),
  ]);
  return !taken.includes(true);
}

/** Sends a presigned form as a browser would. @returns whether the server took it */
async function sendForm(store: Store, { url, fields }: PresignedUpload, content: string): Promise<boolean> {
  const parts = [
    ...Object.entries(fields).map(([name, value]) => `Content-Disposition: form-data; name="${name}"\r\n\r\n${value}`),
    `Content-Disposition: form-data; name="file"; filename="probe"\r\nContent-Type: text/plain\r\n\r\n${content}`,
  ];
  const body = Buffer.from(`${parts.map((part) => `--${boundary}\r\n${part}\r\n`).join('')}--${boundary}--\r\n`);
  const headers = { 'content-type': `multipart/form-data; boundary=${boundary}`, 'content-length': body.length };
  return isTakenUnsigned(store, { url, method: 'POST', headers, body }, 's3:PutObject');
}
