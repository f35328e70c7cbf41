#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8';

// Bodies pass through in buffers outside V8's heap, which it takes for garbage of its own: it then collects the whole heap
// dozens of times per gigabyte. Set before anything else is loaded, while the heap is small. As flags of `node` itself, as
// `npm start` gives them, they do twice as much: docs/operations.md.
setFlagsFromString('--max-semi-space-size=2');
setFlagsFromString('--heap-growing-percent=200');
await import('./start.ts');
