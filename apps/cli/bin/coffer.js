#!/usr/bin/env node
// getBuiltinModule: an import of a module of Node evaluates all that it exports, which takes 4 ms for node:fs alone.
const program = new URL('../dist/main.js', import.meta.url);
const args = process.argv.slice(2);
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 22)) {
  const { fetchedNode, runOn } = await import('./fetched-node.js');
  const node = fetchedNode();
  if (node === undefined) {
    process.stderr.write(`usage: coffer needs Node.js 22.22 or newer; this is ${process.versions.node}.\n`);
    process.exitCode = 2;
  } else {
    const { fileURLToPath } = await import('node:url');
    runOn(node, [fileURLToPath(import.meta.url), ...args]);
  }
} else if (args.length === 1 && args[0] === '--version') {
  const { readFileSync } = process.getBuiltinModule('node:fs');
  const { name, version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  process.stdout.write(`${name}/${version} ${process.platform}-${process.arch} node-${process.version}\n`);
} else if (!process.getBuiltinModule('node:fs').existsSync(program)) {
  process.stderr.write('usage: coffer is not built yet; "npm start" in the checkout, or "pnpm build", builds it.\n');
  process.exitCode = 2;
} else {
  // Of this user alone: what lies in a shared folder for temporary files, others could have put there.
  const caches = process.platform === 'darwin' ? 'Library/Caches' : process.platform === 'win32' ? 'AppData/Local' : '.cache';
  const { homedir } = process.getBuiltinModule('node:os');
  const { join } = process.getBuiltinModule('node:path');
  // Older Nodes warn that their SQLite may change, which is no news to whoever runs a command.
  const emitWarning = process.emitWarning.bind(process);
  process.emitWarning = (warning, ...rest) => {
    if (!String(warning).startsWith('SQLite is an experimental feature')) emitWarning(warning, ...rest);
  };
  process.getBuiltinModule('node:module').enableCompileCache(join(homedir(), caches, 'coffer', 'compiled'));
  await import(program.href);
}
