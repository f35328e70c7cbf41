import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { requiredSuites } from './required-suites.mjs';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'coffer-required-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(...paths: readonly string[]) {
  for (const path of paths) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), '');
  }
}

describe('required suites', () => {
  it('are all test files of the workspace, wherever they lie, but not those of dependencies and builds', () => {
    write(
      'packages/a/package.json',
      'packages/a/src/a.test.ts',
      'packages/a/src/deep/b.test.ts',
      'tooling/t/package.json',
      'tooling/t/t.test.ts',
    );
    write('packages/a/node_modules/x/x.test.ts', 'packages/a/dist/a.test.ts', 'packages/a/src/a.ts');
    const files = requiredSuites(root, { minio: true });
    expect(files.sort()).toEqual(['packages/a/src/a.test.ts', 'packages/a/src/deep/b.test.ts', 'tooling/t/t.test.ts']);
  });

  it('include one of every package, and the conformance suite of every backend, so that losing it shows', () => {
    write('packages/bare/package.json', 'packages/backend-x/package.json', 'packages/backend-x/src/other.test.ts');
    const files = requiredSuites(root, { minio: true });
    expect(files).toContain('packages/bare/src/index.test.ts');
    expect(files).toContain('packages/backend-x/src/backend.conformance.test.ts');
  });

  it('are those on MinIO only where there has to be one', () => {
    write('packages/a/package.json', 'packages/a/src/minio.conformance.test.ts', 'packages/a/src/lost.minio.test.ts');
    write('packages/a/src/minio-like.test.ts');
    expect(requiredSuites(root, { minio: false })).toEqual(['packages/a/src/minio-like.test.ts']);
    expect(requiredSuites(root, { minio: true })).toHaveLength(3);
  });
});
