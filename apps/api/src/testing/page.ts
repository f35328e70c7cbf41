import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { startBrowser, UnavailableServerError } from '@coffer/fixtures';
import type { TestBrowser } from '@coffer/fixtures';

/** A browser, or the reason why there is none. */
export async function browserIfAvailable(): Promise<TestBrowser | string> {
  try {
    return await startBrowser();
  } catch (error) {
    if (error instanceof UnavailableServerError) return error.message;
    throw error;
  }
}

export interface PageOrigin {
  readonly origin: string;
  close(): Promise<void>;
}

/** A server with one empty page: an origin for scripts to run on. */
export async function pageOrigin(): Promise<PageOrigin> {
  const server = createServer((_request, response) =>
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>A page</title>'),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = (): Promise<void> => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  };
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}
