import { expect, it, vi } from 'vitest';

import { decideContentType } from './sniff.ts';

const pressure = vi.hoisted(() => ({ openFiles: true }));
vi.mock('./file-types.ts', async (original) => {
  if (pressure.openFiles) throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });
  return original();
});

it('identifies files again once the library that failed to load can be loaded', async () => {
  const sample = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
  const ask = { declared: undefined, filename: 'a', sample };
  await expect(decideContentType(ask)).rejects.toThrow();
  pressure.openFiles = false;
  expect(await decideContentType(ask)).toBe('image/png');
});
