import { describe, expect, it } from 'vitest';
import { pathExists, pathsNamedIn } from './named-paths.ts';
import { root } from './tool.ts';

describe('paths that a document names', () => {
  it('are the targets of relative links and what looks like a path in backquotes, outside of code blocks', () => {
    const text = [
      'See [a](docs/a.md#part), [the web](https://example.com/x), [here](#part) and `src/backend.ts`, `apps/*/src/{a,b}.ts`.',
      'Not `npm start`, `a/b c`, `/absolute/path`, `dist/index.js` nor `./.coffer/objects`.',
      '```sh',
      'cat `in/a/block.ts`',
      '```',
    ].join('\n');
    expect(pathsNamedIn(text)).toEqual(['docs/a.md', 'src/backend.ts', 'apps/*/src/{a,b}.ts']);
  });

  it('are looked for beside the document and from the root, with the patterns of a shell', () => {
    const there = (path: string, besides = 'tooling/checks') => pathExists(path, { folder: besides, root });
    expect(there('src/main.ts')).toBe(true);
    expect(there('tooling/checks/src/main.ts')).toBe(true);
    expect(there('tooling/*/src/{main,none}.ts')).toBe(true);
    expect(there('../bootstrap/run.mjs')).toBe(true);
    expect(there('src/none.ts')).toBe(false);
    expect(there('tooling/none/')).toBe(false);
    expect(there('../none.md')).toBe(false);
    expect(there('none.md')).toBe(false);
  });

  it('are not media types, packages and routes', () => {
    for (const name of ['application/json', '@coffer/storage-core', 'api/v1/files'])
      expect(pathExists(name, { folder: '.', root })).toBe(true);
  });
});
