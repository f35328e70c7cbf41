#!/usr/bin/env node
const dist = new URL('../dist/', import.meta.url);
const args = process.argv.slice(2);
const [major = 0, minor = 0, patch = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && (minor < 22 || (minor === 22 && patch < 1)))) {
  const { fetchedNode, runOn } = await import('./fetched-node.js');
  const node = fetchedNode();
  if (node === undefined) {
    process.stderr.write(`usage: coffer needs Node.js 22.22.1 or newer; this is ${process.versions.node}.\n`);
    process.exitCode = 2;
  } else {
    const { fileURLToPath } = await import('node:url');
    runOn(node, [fileURLToPath(import.meta.url), ...args]);
  }
} else if (args.length === 1 && args[0] === '--version') {
  const { readFileSync } = process.getBuiltinModule('node:fs');
  const { name, version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  process.stdout.on('error', ({ code }) => {
    if (code === 'EPIPE') return; // the reader is gone
    process.stderr.write(`${code === 'ENOSPC' ? 'disk_full: stdout: The disk is full.' : `local_io: stdout: ${code}`}\n`);
    process.exitCode = 1;
  });
  process.stdout.write(`${name}/${version} ${process.platform}-${process.arch} node-${process.version}\n`);
} else if (!process.getBuiltinModule('node:fs').existsSync(dist)) {
  process.stderr.write('usage: coffer is not built yet; "npm start" in the checkout, or "pnpm build", builds it.\n');
  process.exitCode = 2;
} else {
  // Older Nodes warn that their SQLite may change, which is of no use to the user of a command.
  const emitWarning = process.emitWarning.bind(process);
  process.emitWarning = (warning, ...rest) => {
    if (!String(warning).startsWith('SQLite is an experimental feature')) emitWarning(warning, ...rest);
  };
  const { programIn } = await import('./program.js');
  const program = programIn(process.getBuiltinModule('node:url').fileURLToPath(dist), args);
  const { main } = /** @type {typeof import('../src/main.ts')} */ (program.load('main.cjs'));
  await main(args, program);
}
