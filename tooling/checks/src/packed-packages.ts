import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { failureOf, root, run } from './tool.ts';

interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/**
 * Packs every publishable package as a release does, and checks the tarball: the manifest's promises (publint), what TypeScript
 * resolves from ESM (attw), that every built file has a source, and that its every import is a declared dependency, of which those who
 * install the package get what was tested here: none is patched. The packages must have been built.
 */
export async function packedPackages(): Promise<string> {
  const destination = await mkdtemp(join(tmpdir(), 'coffer-pack-'));
  try {
    const problems: string[] = [];
    const patched = await patchedPackages();
    for (const folder of await packageFolders()) {
      const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest;
      if (manifest.private !== true)
        problems.push(...(await problemsOf(folder, manifest, patched, destination)).map((problem) => `${manifest.name}: ${problem}`));
    }
    return problems.join('\n');
  } finally {
    await rm(destination, { recursive: true, force: true });
  }
}

async function packageFolders(): Promise<string[]> {
  const folders = await Promise.all(
    ['packages', 'apps'].map(async (parent) => (await readdir(join(root, parent))).map((name) => join(root, parent, name))),
  );
  return folders.flat();
}

/** What pnpm patches here, and nowhere else. */
async function patchedPackages(): Promise<ReadonlySet<string>> {
  const config = await run('pnpm', ['config', 'get', 'patchedDependencies', '--json']);
  if (!config.ok) throw new Error(config.all);
  return new Set(Object.keys((JSON.parse(config.stdout) as object | null) ?? {}).map(nameOf));
}

/** Without the version, which may be missing. */
export function nameOf(specifier: string): string {
  return specifier.replace(/(?<=.)@.*$/, '');
}

async function problemsOf(folder: string, manifest: Manifest, patched: ReadonlySet<string>, destination: string): Promise<string[]> {
  const packed = await run('pnpm', ['pack', '--json', '--pack-destination', destination], { cwd: folder });
  if (!packed.ok) return [packed.all];
  const { filename, files } = JSON.parse(packed.stdout) as { filename: string; files: readonly { path: string }[] };
  const paths = files.map(({ path }) => path);

  const [publint, attw] = await Promise.all([
    failureOf('publint', ['run', filename, '--strict']),
    isLibrary(manifest) ? failureOf('attw', [filename, '--profile', 'esm-only', '--format', 'ascii']) : '',
  ]);
  const missing = ['README.md', 'LICENSE'].filter((name) => !paths.includes(name)).map((name) => `${name} is not in the tarball`);
  const strays = paths.filter((path) => /\.test\.|\.tsbuildinfo$/.test(path)).map((path) => `${path} is in the tarball`);
  const stale = isLibrary(manifest) ? leftovers(paths).map((path) => `${path} is in the tarball, and its source is not`) : [];
  const imports = isLibrary(manifest) ? await importProblems(folder, manifest, patched, paths) : [];
  return [publint, attw, ...missing, ...strays, ...stale, ...imports].filter(Boolean);
}

/** An application exports only its manifest: nobody imports it, and its bundle contains what it needs. */
function isLibrary({ exports = {} }: Manifest): boolean {
  return Object.keys(exports).some((entry) => entry !== './package.json');
}

async function importProblems(
  folder: string,
  manifest: Manifest,
  patched: ReadonlySet<string>,
  paths: readonly string[],
): Promise<string[]> {
  const declared = new Set([
    manifest.name,
    ...builtinModules,
    ...Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies, ...manifest.peerDependencies }),
  ]);
  const problems: string[] = [];
  for (const path of paths.filter((name) => /^dist\/.*\.(js|d\.ts)$/.test(name))) {
    const imports = importedPackages(await readFile(join(folder, path), 'utf8'));
    problems.push(
      ...imports.filter((name) => !declared.has(name)).map((name) => `${path} imports ${name}, which is no dependency`),
      ...unpatched(path, imports, patched).map((name) => `${path} imports ${name}, which is patched only here: bundle it`),
    );
  }
  return problems;
}

/** Packages that a module runs, and that come without their patch to those who install ours. Types are not patched. */
export function unpatched(path: string, imports: readonly string[], patched: ReadonlySet<string>): string[] {
  return path.endsWith('.js') ? imports.filter((name) => patched.has(name)) : [];
}

/** What tsc has printed of sources that have since been moved or removed: it deletes nothing. */
export function leftovers(paths: readonly string[]): string[] {
  const present = new Set(paths);
  return paths.filter((path) => /^dist\/.*\.(js|d\.ts)(\.map)?$/.test(path) && !present.has(sourceOf(path)));
}

function sourceOf(path: string): string {
  return path.replace(/^dist\//, 'src/').replace(/\.(js|d\.ts)(\.map)?$/, '.ts');
}

/** The packages that a module imports, statically or with a literal `import()`. Not a parser: it only reads what tsc prints. */
export function importedPackages(code: string): string[] {
  const bare = code.replaceAll(/\/\*[^]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '');
  const specifiers = Array.from(
    bare.matchAll(/(?:^|[\s;}])(?:from|import)\s*\(?\s*["']([^"'.\s][^"'\s]*)["']/gm),
    ([, specifier = '']) => specifier,
  );
  const names = specifiers
    .filter((specifier) => !specifier.startsWith('node:'))
    .map((specifier) =>
      specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/'),
    );
  return [...new Set(names)];
}
