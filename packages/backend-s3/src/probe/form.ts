import type { PresignedUpload } from '@coffer/storage-core';

import { allEnded } from '../concurrency.ts';
import type { EndpointProfile } from '../profile.ts';
import type { Store } from '../store.ts';
import { isPublic } from './acl.ts';
import type { Sandbox } from './sandbox.ts';
import { isAcceptedUnsigned } from './unsigned.ts';

const boundary = 'coffer-probe-form';
const terms = { contentType: 'text/plain', size: 4, expiresIn: 600 };

/**
 * Whether the server accepts the forms that their policies allow, and no others; whether the ACL of a form takes effect; and whether a form
 * can be limited to an empty object.
 */
export async function formsOf(store: Store, sandbox: Sandbox): Promise<Pick<EndpointProfile, 'postPolicy' | 'formAcl' | 'emptyForms'>> {
  if (!(await postPolicyHolds(store, sandbox))) return { postPolicy: false, formAcl: false, emptyForms: false };
  const at = sandbox.at('form-public');
  const form = await store.presigners.internal.form(at, { ...terms, acl: 'public-read' });
  const formAcl = (await sendForm(store, sandbox, form, 'form')) && (await isPublic(store, sandbox, at));
  const empty = await store.presigners.internal.form(sandbox.at('form-empty'), { ...terms, size: 0 });
  // MinIO takes a maximum length of 0 for no limit.
  const emptyForms = (await sendForm(store, sandbox, empty, '')) && !(await sendForm(store, sandbox, empty, 'x'));
  return { postPolicy: true, formAcl, emptyForms };
}

async function postPolicyHolds(store: Store, sandbox: Sandbox): Promise<boolean> {
  const form = await store.presigners.internal.form(sandbox.at('form'), terms);
  if (!(await sendForm(store, sandbox, form, 'form'))) return false;
  const changed = (fields: Readonly<Record<string, string>>): PresignedUpload => ({ ...form, fields: { ...form.fields, ...fields } });
  const elsewhere = sandbox.at('form-elsewhere'); // may throw, which must not leave the others unawaited
  const accepted = await allEnded([
    sendForm(store, sandbox, form, 'longer'),
    sendForm(store, sandbox, changed({ 'Content-Type': 'text/html' }), 'form'),
    sendForm(store, sandbox, changed({ key: elsewhere.key }), 'form'),
  ]);
  if (accepted.includes(true)) return false;
  // Some accept fields that the policy does not name. That is harmless, unless such a field makes the object public.
  const opened = sandbox.at('form-opened');
  const closed = await store.presigners.internal.form(opened, terms);
  const isAccepted = await sendForm(store, sandbox, { ...closed, fields: { ...closed.fields, acl: 'public-read' } }, 'form');
  return !isAccepted || !(await isPublic(store, sandbox, opened));
}

/** Sends a presigned form as a browser would. @returns whether the server accepted it */
async function sendForm(store: Store, sandbox: Sandbox, { url, fields }: PresignedUpload, content: string): Promise<boolean> {
  const parts = [
    ...Object.entries(fields).map(([name, value]) => `Content-Disposition: form-data; name="${name}"\r\n\r\n${value}`),
    `Content-Disposition: form-data; name="file"; filename="probe"\r\nContent-Type: text/plain\r\n\r\n${content}`,
  ];
  const body = Buffer.from(`${parts.map((part) => `--${boundary}\r\n${part}\r\n`).join('')}--${boundary}--\r\n`);
  const headers = { 'content-type': `multipart/form-data; boundary=${boundary}`, 'content-length': body.length };
  return isAcceptedUnsigned(store, sandbox, { url, method: 'POST', headers, body });
}
