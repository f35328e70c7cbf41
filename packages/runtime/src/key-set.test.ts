import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ConfigError } from './config-error.ts';
import { parseConfig } from './config.ts';
import type { ParseOptions } from './config.ts';

describe('AUTH_JWKS_FILE', () => {
  let cwd: string;
  beforeAll(async () => {
    cwd = await mkdtemp(join(tmpdir(), 'coffer-keys-'));
  });
  afterAll(() => rm(cwd, { recursive: true }));

  const problem = (options: ParseOptions = {}): string | undefined => {
    try {
      parseConfig({ AUTH_JWKS_FILE: 'keys.json' }, { cwd, ...options });
      return undefined;
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      return (error as ConfigError).message;
    }
  };

  it.each([
    ['{', 'the file is not JSON'],
    ['[]', 'an object with an array "keys"'],
    ['null', 'an object with an array "keys"'],
    ['5', 'an object with an array "keys"'],
    ['{"keys":5}', 'an object with an array "keys"'],
    ['{"keys":[]}', 'at least one public key'],
    ['{"keys":[null,5,"RSA",{}]}', 'at least one public key'],
    ['{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}', 'at least one public key'],
  ])('may not hold %s', async (content, hint) => {
    await writeFile(join(cwd, 'keys.json'), content);
    expect(problem()).toContain('AUTH_JWKS_FILE: must ');
    expect(problem()).toContain(hint);
    expect(problem()).not.toContain('c2VjcmV0');
  });

  it.each(['RSA', 'EC', 'OKP'])('may hold one key of type %s, whatever stands beside it', async (kty) => {
    await writeFile(join(cwd, 'keys.json'), JSON.stringify({ keys: [{ kty: 'oct', k: 'c2VjcmV0' }, { kty }] }));
    expect(problem()).toBeUndefined();
  });

  it('is a file', async () => {
    await rm(join(cwd, 'keys.json'), { force: true });
    await mkdir(join(cwd, 'keys.json'));
    expect(problem()).toContain('AUTH_JWKS_FILE: must be a file that can be read; it is not.');
    await rm(join(cwd, 'keys.json'), { recursive: true });
  });

  it('must exist where the server is started, and is taken from the working directory', async () => {
    await rm(join(cwd, 'keys.json'), { force: true });
    expect(problem()).toContain('it does not exist');
    expect(problem({ serve: false })).toBeUndefined();
    await writeFile(join(cwd, 'keys.json'), '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}');
    expect(parseConfig({ AUTH_JWKS_FILE: 'keys.json' }, { cwd }).auth.jwksFile).toBe(join(cwd, 'keys.json'));
  });
});
