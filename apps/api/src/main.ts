#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8';

import './stop-signals.ts';

// A server whose memory is mostly buffers outside V8's heap has no use for a heap that may grow fourfold. Set before anything
// else is loaded, while the heap is small; a flag of `node` itself comes first. V8 reads the size of its young generation before
// any program runs, so that only `node` can be told: docs/operations.md.
const growing = '--heap-growing-percent=';
if (!process.execArgv.some((flag) => flag.replaceAll('_', '-').startsWith(growing))) setFlagsFromString(`${growing}80`);

// Node 22 warns on every start that its SQLite may change, which is no news to whoever runs a server.
const emitWarning = process.emitWarning.bind(process) as (warning: string | Error, ...rest: unknown[]) => void;
process.emitWarning = (warning: string | Error, ...rest: unknown[]) => {
  if (!String(warning).startsWith('SQLite is an experimental feature')) emitWarning(warning, ...rest);
};

await import('./start.ts');
