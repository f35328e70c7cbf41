/*
 * The features of curl that the documents use, for machines without it. Other options are refused, so that they do not seem to work.
 */
import { openAsBlob, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';

const types: Readonly<Record<string, string>> = { txt: 'text/plain', json: 'application/json', pdf: 'application/pdf' };

const { values, positionals } = parseArgs({
  args: process.argv.slice(2).flatMap((arg) => (/^-[sSiIL]{2,}$/.test(arg) ? Array.from(arg.slice(1), (flag) => `-${flag}`) : [arg])),
  allowPositionals: true,
  options: {
    silent: { type: 'boolean', short: 's' },
    'show-error': { type: 'boolean', short: 'S' },
    include: { type: 'boolean', short: 'i' },
    head: { type: 'boolean', short: 'I' },
    location: { type: 'boolean', short: 'L' },
    request: { type: 'string', short: 'X' },
    header: { type: 'string', short: 'H', multiple: true, default: [] },
    form: { type: 'string', short: 'F', multiple: true, default: [] },
    data: { type: 'string', short: 'd' },
    'upload-file': { type: 'string', short: 'T' },
    config: { type: 'string', short: 'K' },
    output: { type: 'string', short: 'o' },
    'write-out': { type: 'string', short: 'w', default: '' },
    'dump-header': { type: 'string', short: 'D' },
  },
});

const headers = new Headers(
  values.header.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()] as [string, string]),
);
const { body, method } = await request();
const response = await fetch(positionals[0] ?? '', {
  method: values.request ?? (values.head === true ? 'HEAD' : method),
  headers,
  redirect: values.location === true ? 'follow' : 'manual',
  ...(body !== undefined && { body }),
});

const head = [
  `HTTP/1.1 ${response.status} ${response.statusText}`,
  ...Array.from(response.headers, ([name, value]) => `${name}: ${value}`),
  '',
  '',
].join('\r\n');
if (values['dump-header'] !== undefined) writeFileSync(values['dump-header'], head);
if (values.include === true || values.head === true) process.stdout.write(head);
const bytes = Buffer.from(await response.arrayBuffer());
if (values.output === undefined) process.stdout.write(bytes);
else writeFileSync(values.output, bytes);
process.stdout.write(values['write-out'].replaceAll(String.raw`\n`, '\n'));

async function request(): Promise<{ readonly method: string; readonly body?: FormData | string | Buffer }> {
  if (values['upload-file'] !== undefined) return { method: 'PUT', body: readFileSync(values['upload-file']) };
  if (values.data !== undefined) {
    if (!headers.has('content-type')) headers.set('content-type', 'application/x-www-form-urlencoded');
    return { method: 'POST', body: values.data };
  }
  const fields =
    values.config === undefined
      ? []
      : Array.from(readFileSync(values.config, 'utf8').matchAll(/^form-string = (".*")$/gm), ([, text = '']) => JSON.parse(text) as string);
  if (fields.length + values.form.length === 0) return { method: 'GET' };
  const form = new FormData();
  for (const field of [...fields, ...values.form]) {
    const name = field.slice(0, field.indexOf('='));
    const [, path, type] = /^@([^;]*)(?:;type=(.*))?$/.exec(field.slice(name.length + 1)) ?? [];
    if (path === undefined || fields.includes(field)) form.append(name, field.slice(name.length + 1));
    else
      form.append(
        name,
        await openAsBlob(path, { type: type ?? types[path.split('.').at(-1) ?? ''] ?? 'application/octet-stream' }),
        basename(path),
      );
  }
  return { method: 'POST', body: form };
}
