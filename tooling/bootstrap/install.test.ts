import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { installStamp, pnpmReason } from './install.mjs';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'coffer-stamp-'));
  mkdirSync(join(root, 'packages/a'), { recursive: true });
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json', 'packages/a/package.json'])
    writeFileSync(join(root, file), 'x');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const stamp = (pnpmVersion = '1.0.0') => installStamp({ root, cache: '', nodeVersion: '1.0.0', nodeRange: '', pnpmVersion });

describe('the stamp of an install', () => {
  it('stays the same while the same bytes are written again', () => {
    const before = stamp();
    utimesSync(join(root, 'pnpm-lock.yaml'), 1, 1);
    writeFileSync(join(root, 'README.md'), 'not part of an install');
    expect(stamp()).toBe(before);
  });

  it('changes with the lockfile, the settings, any manifest, a new package and the version of pnpm', () => {
    const seen = new Set([stamp(), stamp('1.0.1')]);
    for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json', 'packages/a/package.json', '.npmrc']) {
      writeFileSync(join(root, file), 'y');
      seen.add(stamp());
    }
    mkdirSync(join(root, 'apps/b'), { recursive: true });
    writeFileSync(join(root, 'apps/b/package.json'), 'x');
    seen.add(stamp());
    expect(seen.size).toBe(8);
  });
});

describe("pnpm's reason", () => {
  it('is read out of the frame that pnpm draws, with its advice', () => {
    const output = [
      'Error: ERR_PNPM_UNRECOGNIZED_WORKSPACE_SETTINGS',
      '',
      '  × The following settings in pnpm-workspace.yaml are not recognized by this',
      '  │ version of pnpm: "foo".',
      '  help: Remove them from pnpm-workspace.yaml',
      '        or fix their spelling.',
      '',
    ].join('\n');
    expect(pnpmReason(output)).toEqual({
      reason: 'The following settings in pnpm-workspace.yaml are not recognized by this version of pnpm: "foo"',
      help: 'Remove them from pnpm-workspace.yaml or fix their spelling.',
    });
  });

  it('is the innermost cause', () => {
    const output = [
      'Error: ERR_PNPM_META_FETCH_FAIL',
      '',
      '  × installing dependencies',
      '  ╰─▶ ERR_PNPM_RESOLVING_NPM_RESOLVER_NETWORK_ERROR: Failed to fetch metadata',
      '      from http://127.0.0.1:9/x: error sending request: Connection refused',
      '      (os error 111)',
      '',
    ].join('\n');
    expect(pnpmReason(output)).toEqual({
      reason: 'Failed to fetch metadata from http://127.0.0.1:9/x: error sending request: Connection refused (os error 111)',
    });
  });

  it('is the last line where there is no frame', () => {
    expect(pnpmReason('a\nb\n')).toEqual({ reason: 'b' });
    expect(pnpmReason('')).toEqual({ reason: 'pnpm gave no reason' });
  });
});
