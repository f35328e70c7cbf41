import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { afterAll, beforeAll, expect, it } from 'vitest';

const standIn = fileURLToPath(new URL('curl-stand-in.ts', import.meta.url));
// Answers with the request that it received.
const server = createServer((request, response) => {
  if (request.url === '/elsewhere') {
    response.writeHead(302, { location: '/here' }).end();
    return;
  }
  let body = '';
  request.setEncoding('latin1').on('data', (text: string) => (body += text));
  request.on('end', () => {
    const { 'x-name': name, 'content-type': type = '' } = request.headers;
    response
      .writeHead(request.url === '/404' ? 404 : 200, { 'x-answer': 'yes' })
      .end(JSON.stringify({ method: request.method, url: request.url, name, type: type.split(';')[0], body }));
  });
});
let cwd = '';
let url = '';
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'coffer-curl-'));
  await writeFile(join(cwd, 'hello.txt'), 'Hello');
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  await rm(cwd, { recursive: true, force: true });
});

const curl = async (...args: string[]): Promise<string> =>
  (await promisify(execFile)(process.execPath, [standIn, ...args], { cwd })).stdout;

it('sends headers, JSON and raw bodies', async () => {
  expect(JSON.parse(await curl('-sS', '-H', 'X-Name: Ann', `${url}/a?b=c`))).toEqual({
    method: 'GET',
    url: '/a?b=c',
    name: 'Ann',
    type: '',
    body: '',
  });
  const patched = await curl('-X', 'PATCH', '-H', 'Content-Type: application/json', '-d', '{}', url);
  expect(JSON.parse(patched)).toMatchObject({ method: 'PATCH', type: 'application/json', body: '{}' });
  expect(JSON.parse(await curl('-T', 'hello.txt', url))).toMatchObject({ method: 'PUT', body: 'Hello' });
});

it('sends forms, with fields of a config file first', async () => {
  await writeFile(join(cwd, 'fields.txt'), 'form-string = "key=a=@b"\n');
  const { method, type, body } = JSON.parse(await curl('-K', 'fields.txt', '-F', 'file=@hello.txt', '-F', 'x=1', url)) as Record<
    string,
    string
  >;
  expect({ method, type }).toEqual({ method: 'POST', type: 'multipart/form-data' });
  expect(body).toMatch(
    /name="key"\r\n\r\na=@b\r\n.*name="file"; filename="hello.txt"\r\nContent-Type: text\/plain\r\n\r\nHello\r\n.*name="x"\r\n\r\n1\r\n/s,
  );
});

it('shows heads, follows redirects, writes files, and takes a 404 for an answer', async () => {
  expect(await curl('-I', url)).toMatch(/^HTTP\/1\.1 200 OK\r\n.*x-answer: yes\r\n.*\r\n$/s);
  expect(await curl('-i', `${url}/elsewhere`)).toMatch(/^HTTP\/1\.1 302 Found\r\n/);
  expect(JSON.parse(await curl('-sL', `${url}/elsewhere`))).toMatchObject({ url: '/here' });
  expect(await curl('-w', String.raw`\n`, '-D', 'head', '-o', 'copy', `${url}/404`)).toBe('\n');
  expect(await readFile(join(cwd, 'head'), 'utf8')).toMatch(/^HTTP\/1\.1 404 /);
  expect(await readFile(join(cwd, 'copy'), 'utf8')).toContain('"url":"/404"');
});

it('refuses what it does not know', async () => {
  await expect(curl('--compressed', url)).rejects.toThrow('compressed');
});
