import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { repositoryFiles, root } from './tool.ts';

/** Folders that exist only after a build or a run; documents may mention them. */
const generated = /(^|\/)(dist|node_modules|coverage|reports|\.toolchain|\.turbo|\.coffer)(\/|$)/;

/** Paths of the repository that documents name and that do not exist. Documents go stale when files move; this check reports it. */
export async function namedPaths(): Promise<string> {
  const files = await repositoryFiles();
  const documents = files.filter((file) => file.endsWith('.md') && existsSync(join(root, file)));
  const missing = documents.flatMap((file) =>
    pathsNamedIn(readFileSync(join(root, file), 'utf8'))
      .filter((path) => !pathExists(path, { folder: dirname(file), root }))
      .map((path) => `${file} names ${path}, which does not exist`),
  );
  return missing.join('\n');
}

/** Targets of relative links, and everything in backquotes that looks like a path with a folder. */
export function pathsNamedIn(markdown: string): string[] {
  const prose = markdown.replaceAll(/^( *)(`{3,})[^]*?^ *\2`*$/gm, '');
  const links = Array.from(prose.matchAll(/\]\(([^)\s#]+)(?:#[^)\s]*)?\)/g), ([, link = '']) => link).filter(
    (link) => !/^[a-z]+:/.test(link),
  );
  const spans = Array.from(prose.matchAll(/`([^`\n]+)`/g), ([, span = '']) => span).filter((span) =>
    /^\.?[\w.@-]+\/[\w./@*{},-]*$/.test(span),
  );
  return [...new Set([...links, ...spans])].filter((path) => !generated.test(path));
}

/**
 * Looks for a path beside its document and from the root. If its first part exists in neither place, it is not a path of this
 * repository but a media type, a package or a route. `*` and `{a,b}` mean what they mean in a shell.
 */
export function pathExists(path: string, { folder, root: top }: { folder: string; root: string }): boolean {
  const [first = ''] = path.split('/');
  const bases = [join(top, folder), top];
  if (!path.startsWith('..') && !bases.some((base) => existsSync(join(base, first)))) return path.includes('/') && !path.endsWith('.md');
  return bases.some((base) => existsSync(join(base, path)) || (/[*{]/.test(path) && globSync(path, { cwd: base }).length > 0));
}
