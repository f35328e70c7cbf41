import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { blocksOf } from './documents.ts';
import { runFolder } from './run-folder.ts';
import { printedBy, sameShape } from './snippets.ts';
import { Walkthrough } from './walkthrough.ts';

// A walkthrough that passed whatever a document says would be worse than none.
describe('Walkthrough', () => {
  const server = createServer((request, response) => {
    response.writeHead(Number(request.url?.slice(1)), { 'content-type': 'application/json' }).end('{"id":"x"}');
  });
  let folder = '';
  let url = '';
  let count = 0;
  const opened: Walkthrough[] = [];
  beforeAll(async () => {
    folder = await runFolder();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(async () => {
    for (const walkthrough of opened) await walkthrough.close();
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true, force: true });
  });

  const walk = async (text: string): Promise<string> => {
    const walkthrough = new Walkthrough(join(folder, String(++count)));
    opened.push(walkthrough);
    let output = '';
    for (const block of blocksOf(text))
      output += block.language === 'ts' ? await walkthrough.ts(block) : (await walkthrough.sh(block)).stdout;
    return output;
  };
  const sh = (code: string, marks = ''): string => `\`\`\`sh ${marks}\n${code}\n\`\`\`\n`;

  it('keeps variables, functions and files from block to block', async () => {
    const output = await walk(sh('NAME=Ann; greet() { echo "Hello, $1"; }') + sh('greet "$NAME" > file') + sh('cat file'));
    expect(output).toBe('Hello, Ann\n');
  });

  it('fails with the first command that fails', async () => {
    await expect(walk(sh('false\ntrue'))).rejects.toThrow('A command failed');
    await expect(walk(sh('absent-command'))).rejects.toThrow('absent-command');
  });

  it('fails with a refused request, wherever it is asked', async () => {
    await expect(walk(sh(`curl -sS ${url}/404`))).rejects.toThrow(`404 for curl -sS ${url}/404`);
    await expect(walk(sh(`ID=$(curl -sS ${url}/500 | cat); echo "$ID"`))).rejects.toThrow('500 for');
    await expect(walk(sh('curl -sS http://127.0.0.1:1/200 || true'))).rejects.toThrow('Exit status');
    expect(await walk(sh(`curl -sS ${url}/200`))).toBe('{"id":"x"}');
  });

  it('wants the refusal that a block announces, and no other', async () => {
    expect(await walk(sh(`curl -sS ${url}/404`, 'status=404'))).toBe('{"id":"x"}');
    await expect(walk(sh(`curl -sS ${url}/403`, 'status=404'))).rejects.toThrow('Expected 404');
    await expect(walk(sh(`curl -sS ${url}/200`, 'status=404'))).rejects.toThrow('Expected 404');
  });

  it('holds a block to what it says that it prints', async () => {
    await walk(sh('echo one # prints one'));
    await expect(walk(sh('echo one # prints two'))).rejects.toThrow('Expected it to print "two"');
  });

  it('runs modules, which may import those before them', async () => {
    const output = await walk(
      '```ts\n// two.ts\nexport const two: number = 2;\n```\n```ts\nimport { two } from "./two.ts";\nconsole.log(two);\n```\n',
    );
    expect(output).toBe('2\n');
    await expect(walk('```ts\nthrow new Error("no");\n```\n')).rejects.toThrow('no');
  });
});

describe('blocksOf', () => {
  it('knows language, marks and indentation', () => {
    const text = 'a\n\n```sh no-run needs a printer\nlpr\n```\n\n- b\n\n  ````ts\n  ```\n    x\n  ````\n';
    expect(blocksOf(text)).toEqual([
      { line: 3, language: 'sh', code: 'lpr\n', noRun: 'needs a printer' },
      { line: 9, language: 'ts', code: '```\n  x\n' },
    ]);
  });
});

describe('printedBy', () => {
  it('takes comments below a console.log only', () => {
    expect(printedBy('// why\nconst a = 1;\nconsole.log(a);\n// 1\n// 2\n\n// why not\n')).toBe('1\n2');
    expect(printedBy('console.log(1);\n')).toBeUndefined();
  });
});

describe('sameShape', () => {
  it('compares names and types, not values', () => {
    expect(sameShape({ a: 1, b: ['x'] }, 'noise\n{"a":2,"b":["y","z"]}\n')).toBe(true);
    expect(sameShape({ a: 1 }, '{"a":1,"b":2}')).toBe(false);
    expect(sameShape({ a: 1 }, '{"a":null}')).toBe(false);
  });
});
