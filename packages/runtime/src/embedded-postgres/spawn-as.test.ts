import { afterEach, expect, it, vi } from 'vitest';

import { runAs } from './spawn-as.ts';

afterEach(() => vi.unstubAllEnvs());

it('tells how a program ended that did not read its input to the end', async () => {
  const ended = runAs({ prefix: [] }, ['/bin/sh', '-c', 'echo no room >&2; exit 3'], 'x'.repeat(1_000_000));
  await expect(ended).rejects.toThrow('/bin/sh ended with 3.\nno room');
});

it('gives a program none of the variables of a shell, and none of the secrets of this process', async () => {
  for (const name of ['PGOPTIONS', 'AUTH_JWT_SECRET']) vi.stubEnv(name, 'known');
  const ended = runAs({ prefix: [] }, ['/bin/sh', '-c', 'env; exit 3']);
  await expect(ended).rejects.toThrow(/^LC_ALL=C$/m);
  await expect(ended).rejects.not.toThrow('known');
});
