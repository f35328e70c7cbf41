#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8';

import './stop-signals.ts';

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
} else {
  // A server whose memory is mostly buffers outside V8's heap has no use for a heap that may grow fourfold. And what it does for each
  // request is optimized after a third of the calls that V8 waits for: it is at its best after 6,000 requests instead of 20,000
  // (tooling/benchmarks/README.md). Set before anything else is loaded, while the heap is small; a flag of `node` itself comes first.
  // V8 reads the size of its young generation before any program runs, so that only `node` can be told: docs/operations.md.
  const ours = { '--heap-growing-percent=': 80, '--invocation-count-for-turbofan=': 1000 };
  const given = process.execArgv.map((flag) => flag.replaceAll('_', '-'));
  for (const [flag, value] of Object.entries(ours)) {
    if (!given.some((each) => each.startsWith(flag))) setFlagsFromString(`${flag}${value}`);
  }
  await import('./start.ts');
}
