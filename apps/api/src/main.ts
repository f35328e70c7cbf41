#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8';

import './stop-signals.ts';

// Node 22 warns at every start that SQLite is experimental, which is of no use to an operator.
const emitWarning = process.emitWarning.bind(process) as (warning: string | Error, ...rest: unknown[]) => void;
process.emitWarning = (warning: string | Error, ...rest: unknown[]) => {
  if (!String(warning).startsWith('SQLite is an experimental feature')) emitWarning(warning, ...rest);
};

// An older Node would show a stack trace for the first thing it lacks, or fail later. In 22.22.0, a stream does not tell that its listeners
// were removed, or that a pipe destination is gone: uploads could end early, or hang.
const [major = 0, minor = 0, patch = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && (minor < 22 || (minor === 22 && patch < 1)))) {
  process.stderr.write(`Coffer needs Node.js 22.22.1 or newer; this is ${process.versions.node}.\n`);
  process.exitCode = 1;
} else {
  // The server's memory is mostly buffers outside V8's heap, so the heap need not grow fourfold. Optimizing functions after a third of V8's
  // usual number of calls brings the server to its best after 6,000 requests instead of 20,000 (tooling/benchmarks/README.md). Set before
  // anything else is loaded, while the heap is small; flags given to `node` itself win. V8 reads the size of its young generation
  // before any program runs, so that one can only be set on `node`: docs/operations.md.
  const ours = { '--heap-growing-percent=': 80, '--invocation-count-for-turbofan=': 1000 };
  const given = process.execArgv.map((flag) => flag.replaceAll('_', '-'));
  for (const [flag, value] of Object.entries(ours)) {
    if (!given.some((each) => each.startsWith(flag))) setFlagsFromString(`${flag}${value}`);
  }
  await import('./start.ts');
}
