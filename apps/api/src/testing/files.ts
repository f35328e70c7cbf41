import type { OutgoingHttpHeaders } from 'node:http';

import type { Answer } from './send.ts';
import type { TestApi } from './start-api.ts';

/** A form for uploading a file; the other fields come before the file, or after it with `last`. */
export function fileForm(
  content: string | Uint8Array<ArrayBuffer>,
  options: { readonly name?: string; readonly type?: string; readonly fields?: Record<string, string>; readonly last?: boolean } = {},
): FormData {
  const { name = 'a.txt', type = 'text/plain', fields = {}, last = false } = options;
  const form = new FormData();
  const addFields = (): void => Object.entries(fields).forEach(([field, value]) => form.set(field, value));
  if (!last) addFields();
  form.set('file', new Blob([content], { type }), name);
  if (last) addFields();
  return form;
}

export function uploadFile(
  api: TestApi,
  headers: OutgoingHttpHeaders,
  content: Parameters<typeof fileForm>[0] = 'hello',
  options: Parameters<typeof fileForm>[1] = {},
): Promise<Answer> {
  return api.send('POST', '/api/v1/files/upload', { headers, form: fileForm(content, options) });
}

/** Sends the bytes as a presigned upload says, like a page would. */
export async function sendPresigned(
  answer: Answer,
  content: string | Uint8Array<ArrayBuffer>,
  type: string,
  changes: Record<string, string> = {},
): Promise<Response> {
  const {
    method,
    upload_url: url,
    upload_fields: fields,
    upload_headers: headers,
  } = answer.json as {
    method: string;
    upload_url: string;
    upload_fields: Record<string, string>;
    upload_headers: Record<string, string>;
  };
  if (method === 'PUT') return fetch(url, { method, headers: { ...headers, ...changes }, body: content });
  const form = new FormData();
  for (const [name, value] of Object.entries({ ...fields, ...changes })) form.set(name, value);
  form.set('file', new Blob([content], { type }), 'any name');
  return fetch(url, { method, headers, body: form });
}
