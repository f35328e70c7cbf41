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

// An older Node would show the stack of whatever it lacks first, or fail later.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 22)) {
  process.stderr.write(`Coffer needs Node.js 22.22 or newer; this is ${process.versions.node}.\n`);
  process.exitCode = 1;
} else await import('./start.ts');
