import { expect, it, vi } from 'vitest';

import { decideContentType } from './sniff.ts';

const pressure = vi.hoisted(() => ({ openFiles: true }));
vi.mock('./file-types.ts', async (original) => {
  if (pressure.openFiles) throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });
  return original();
});

it('identifies files again once the library that failed to load can be loaded', async () => {
  const sample = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
  const request = { declared: undefined, filename: 'a', sample };
  await expect(decideContentType(request)).rejects.toThrow();
  pressure.openFiles = false;
  expect(await decideContentType(request)).toBe('image/png');
});
