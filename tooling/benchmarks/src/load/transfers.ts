import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';

import { formEnd, formStart, formType } from './form.ts';
import { digestOf, matches, pieces } from './generated-bytes.ts';
import type { Answer, DownloadJob, LoadResult, UploadJob } from './job.ts';
import { writePieces } from './write-pieces.ts';

const writeBytes = 262_144;

/** Sends all bodies at once; rejects unless every answer is 201 and describes what was sent. */
export async function upload(job: UploadJob): Promise<LoadResult> {
  const expected: Readonly<Record<string, unknown>> = {
    ...(job.verify.includes('size_bytes') && { size_bytes: job.size }),
    ...(job.verify.includes('sha256') && { sha256: digestOf('sha256', job.size) }),
    ...(job.verify.includes('etag') && { etag: digestOf('md5', job.size) }),
  };
  const started = performance.now();
  const answers = await Promise.all(Array.from({ length: job.parallel }, (_, index) => sendBody(job, index)));
  const seconds = (performance.now() - started) / 1000;
  for (const answer of answers) {
    for (const [name, value] of Object.entries(expected)) {
      if (answer[name] !== value) throw new Error(`The answer says ${name} ${String(answer[name])} where ${String(value)} is true.`);
    }
  }
  return { seconds, answers };
}

async function sendBody({ url, method, framing, headers, size, announced }: UploadJob, index: number): Promise<Answer> {
  const start = framing === 'form' ? formStart : Buffer.alloc(0);
  const end = framing === 'form' ? formEnd : Buffer.alloc(0);
  const request = httpRequest(url.replace('{index}', String(index)), {
    method,
    agent: false,
    headers: {
      ...headers,
      'content-type': framing === 'form' ? formType : 'application/octet-stream',
      ...(announced ? { 'content-length': start.byteLength + size + end.byteLength } : { 'transfer-encoding': 'chunked' }),
    },
  });
  const answered = once(request, 'response') as Promise<[IncomingMessage]>;
  if (start.byteLength > 0) request.write(start);
  await writePieces(request, pieces(size, writeBytes), answered);
  request.end(end);
  const [response] = await answered;
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  if (response.statusCode !== 201) throw new Error(`${method} ${url} was answered ${response.statusCode}: ${text.slice(0, 400)}`);
  return JSON.parse(text) as Answer;
}

/** Reads one body; rejects unless it is the generated one of that size. */
export async function download({ url, headers, size, skip }: DownloadJob): Promise<LoadResult> {
  const started = performance.now();
  const request = httpRequest(url, { agent: false, headers }).end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let received = 0;
  let wrong = response.statusCode !== 200;
  response.on('data', (chunk: Buffer) => {
    const unread = Math.max(0, skip - received);
    const bytes = chunk.subarray(unread, Math.max(unread, skip + size - received));
    if (!matches(bytes, received + unread - skip)) wrong = true;
    received += chunk.byteLength;
  });
  await once(response, 'end');
  const seconds = (performance.now() - started) / 1000;
  if (wrong || received < skip + size || (skip === 0 && received !== size)) {
    throw new Error(`GET ${url} gave ${received} bytes with status ${response.statusCode}, not the ${size} that were stored.`);
  }
  return { seconds, answers: [] };
}
