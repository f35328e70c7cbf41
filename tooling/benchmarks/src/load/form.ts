const boundary = '----coffer-benchmark-7MA4YWxkTrZu0gW';

export const formType = `multipart/form-data; boundary=${boundary}`;

/** What stands before the file of a form; fields come first, as browsers send them. */
export const formStart: Buffer = Buffer.from(
  `--${boundary}\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{"source":"benchmark"}\r\n` +
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="bytes.bin"\r\nContent-Type: application/octet-stream\r\n\r\n`,
);

export const formEnd: Buffer = Buffer.from(`\r\n--${boundary}--\r\n`);
