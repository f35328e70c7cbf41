#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8';

// A server whose memory is mostly buffers outside V8's heap has no use for a heap that may grow fourfold. Set before anything
// else is loaded, while the heap is small; flags of `node` itself, as `npm start` gives them, come first: docs/operations.md.
// oxlint-disable-next-line node/no-process-env -- flags of Node's, no setting of Coffer's
const given = [...process.execArgv, ...(process.env['NODE_OPTIONS'] ?? '').split(' ')];
for (const flag of ['--max-semi-space-size=4', '--heap-growing-percent=80']) {
  const name = flag.slice(0, flag.indexOf('='));
  if (!given.some((own) => own.replaceAll('_', '-').startsWith(name))) setFlagsFromString(flag);
}
await import('./start.ts');
