import { startFront } from '@coffer/fixtures';
import { onTestFinished } from 'vitest';

import type { S3BackendOptions } from '../options.ts';
import { accountOn } from './server.ts';
import type { TestServer } from './server.ts';

/** An account on a server that is reached through a front, until the test ends. */
export async function behindFront(
  server: TestServer,
  answers: Parameters<typeof startFront>[1],
): Promise<S3BackendOptions & { readonly endpoint: string }> {
  const account = await accountOn(server);
  const front = await startFront(account.endpoint, answers);
  onTestFinished(() => front.stop());
  return { ...account, endpoint: front.endpoint };
}

/** The document of an S3 error. */
export function errorDocument(code: string): string {
  return `<?xml version="1.0"?><Error><Code>${code}</Code></Error>`;
}
