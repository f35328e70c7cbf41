import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * The licences of every package that one of the files belongs to. Packages with the same text share it; one that has no such file is
 * listed with the name of its licence alone.
 * @param paths absolute; those outside of any `node_modules` are left out
 */
export async function licencesOf(paths: readonly string[]): Promise<string> {
  const folders = new Set(paths.flatMap((path) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path.replaceAll('\\', '/')) ?? []));
  const packages = await Promise.all(Array.from(folders, licenceOf));
  const byText = Map.groupBy(
    packages.toSorted((one, other) => (one.title < other.title ? -1 : 1)),
    ({ text }) => text,
  );
  return Array.from(byText, ([text, those]) => `${those.map(({ title }) => title).join('\n')}\n${text}`).join(`\n${'-'.repeat(80)}\n\n`);
}

async function licenceOf(folder: string): Promise<{ readonly title: string; readonly text: string }> {
  const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Record<string, string>;
  const files = (await readdir(folder)).filter((entry) => /^(licen[cs]e|notice)\b/i.test(entry));
  const texts = await Promise.all(files.toSorted().map(async (file) => (await readFile(join(folder, file), 'utf8')).trim()));
  return { title: `${name} ${version} (${license})`, text: texts.map((text) => `\n${text}\n`).join('') };
}
