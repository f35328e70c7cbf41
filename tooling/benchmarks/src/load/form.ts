const boundary = '----coffer-benchmark-7MA4YWxkTrZu0gW';

export const formType = `multipart/form-data; boundary=${boundary}`;

/** The bytes before the file of a form; fields come first, as browsers send them. */
export function formHead(fields: Readonly<Record<string, string>>, filename: string): Buffer {
  const disposition = (name: string): string => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"`;
  const texts = Object.entries(fields).map(([name, value]) => `${disposition(name)}\r\n\r\n${value}\r\n`);
  return Buffer.from(`${texts.join('')}${disposition('file')}; filename="${filename}"\r\nContent-Type: application/octet-stream\r\n\r\n`);
}

export const formStart: Buffer = formHead({ metadata: '{"source":"benchmark"}' }, 'bytes.bin');

export const formEnd: Buffer = Buffer.from(`\r\n--${boundary}--\r\n`);
