import type { Presigned } from '../services/presign.ts';
import { quoted } from './shell.ts';

export function presignedJson({ method, url, headers, fields, expiresIn, bucket, key }: Presigned): object {
  return { method, url, headers, fields, expires_in: expiresIn, bucket, key };
}

/** A shell command that uploads the file FILE. */
export function uploadCommand(presigned: Presigned): string {
  const { method, url, headers, fields } = presigned;
  const headerArgs = Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`);
  if (method === 'PUT') return ['curl', ...headerArgs, '-T FILE', quoted(url)].join(' ');
  const form = Object.entries(fields).map(([name, value]) => `--form-string ${quoted(`${name}=${value}`)}`);
  return ['curl', ...headerArgs, ...form, '-F file=@FILE', quoted(url)].join(' ');
}
