import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { downloadEnv } from './environment.mjs';
import { BootstrapError, downloadAdvice, print } from './messages.mjs';

const heartbeatMs = 10_000;

/**
 * Runs `pnpm install` from the lockfile if anything that decides its result has changed since the last time.
 * @param {import('./repository.mjs').Repository} repo
 * @param {import('./toolchain.mjs').Toolchain} toolchain
 * @param {import('./supervisor.mjs').Supervisor} supervisor
 */
export async function installDependencies(repo, { pnpm, env }, supervisor) {
  const stampFile = join(repo.root, 'node_modules/.coffer-install');
  const stamp = installStamp(repo);
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;

  rmSync(stampFile, { force: true }); // what a stopped install leaves must not pass for the dependencies of a lockfile that comes back
  print('installing dependencies');
  let progress = '';
  let retrying = false;
  const heartbeat = setInterval(() => progress && print(`still installing: ${progress}`), heartbeatMs);
  const { code, output } = await supervisor
    .run(pnpm, ['install', '--frozen-lockfile', '--prefer-offline', '--reporter=append-only'], {
      cwd: repo.root,
      env: downloadEnv(installEnv(env), repo.cache),
      graceMs: 3_000,
      onLine: (line) => {
        progress = /Progress: (.*)/.exec(line)?.[1] ?? progress;
        if (!retrying && line.includes('Will retry in')) print('no answer from the npm registry yet');
        retrying ||= line.includes('Will retry in');
      },
    })
    .finally(() => clearInterval(heartbeat));
  if (code !== 0) {
    const { reason, help } = pnpmReason(output);
    throw new BootstrapError(
      `Coffer could not install its dependencies: ${reason}.${help ? ` ${help}` : ''}`,
      help ? undefined : downloadAdvice(output),
    );
  }
  writeFileSync(stampFile, stamp);
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @returns {NodeJS.ProcessEnv}
 */
function installEnv(env) {
  return {
    // pnpm's default waits add up to minutes before it reports that a registry cannot be reached.
    PNPM_CONFIG_FETCH_RETRIES: '2',
    PNPM_CONFIG_FETCH_RETRY_FACTOR: '2',
    PNPM_CONFIG_FETCH_RETRY_MINTIMEOUT: '500',
    PNPM_CONFIG_FETCH_RETRY_MAXTIMEOUT: '2000',
    ...env,
    // The build tools are needed in a production environment as well, and nobody can be asked whether an old node_modules may be deleted.
    NODE_ENV: '',
    PNPM_CONFIG_CONFIRM_MODULES_PURGE: 'false',
  };
}

/**
 * A digest of everything that decides what an install produces: the machine, pnpm, Node, the lockfile, the settings, every manifest.
 * @param {import('./repository.mjs').Repository} repo
 */
export function installStamp({ root, pnpmVersion, nodeVersion }) {
  const hash = createHash('sha256').update([process.platform, process.arch, pnpmVersion, nodeVersion].join('\n'));
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', '.npmrc', 'package.json', ...workspaceManifests(root)]) {
    if (existsSync(join(root, file))) hash.update(`\n${file}\n`).update(readFileSync(join(root, file)));
  }
  return hash.digest('hex');
}

/**
 * The manifests of the workspace: one level below the folders that pnpm-workspace.yaml names.
 * @param {string} root
 */
function workspaceManifests(root) {
  return ['packages', 'apps', 'tooling'].flatMap((folder) => {
    if (!existsSync(join(root, folder))) return [];
    return readdirSync(join(root, folder))
      .sort()
      .map((name) => `${folder}/${name}/package.json`);
  });
}

/**
 * pnpm's own reason and advice, each joined into one line: pnpm prints them wrapped and in a frame.
 * @param {string} output
 * @returns {{ reason: string, help?: string }}
 */
export function pnpmReason(output) {
  const lines = stripVTControlCharacters(output)
    .split('\n')
    .map((line) => line.replace(/^[\s│]+/, '').trimEnd());
  const starts = lines.flatMap((line, index) => (/^(╰─▶|×) (?!installing dependencies$)/.test(line) ? [index] : []));
  const helpStart = lines.findIndex((line) => line.startsWith('help: '));
  const reason = paragraph(lines, starts.at(-1) ?? lines.findIndex((line) => line.includes('ERR_PNPM_')));
  const help = paragraph(lines, helpStart);
  return { reason: reason || lines.filter(Boolean).at(-1) || 'pnpm gave no reason', ...(help ? { help: `${help}.` } : {}) };
}

/**
 * @param {readonly string[]} lines
 * @param {number} start -1 if there is none
 */
function paragraph(lines, start) {
  if (start < 0) return '';
  const end = lines.findIndex((line, index) => index > start && (line === '' || line.startsWith('help: ')));
  const text = lines.slice(start, end < 0 ? undefined : end).join(' ');
  return text
    .replace(/^(?:╰─▶|×|help:)\s+/, '')
    .replace(/^(?:Error: )?ERR_PNPM_\w+:\s*/, '')
    .replace(/[.\s]+$/, '');
}
