import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryFiles, root } from './tool.ts';

interface Rule {
  readonly what: string;
  readonly pattern: RegExp;
  /** Files in which the text is allowed. */
  readonly except?: RegExp;
}

const rules: readonly Rule[] = [
  { what: 'a path of one machine', pattern: /(?<![\w.:/-])\/(?:root|work|Users|home)\/[\w.-]+/, except: /^docker\// },
  {
    what: 'the host of a package registry',
    pattern: /https?:\/\/(?:registry|proxy|deb|security|index|crates|static\.crates|repo1?)\.[a-z.]+\//,
  },
  { what: 'a private key', pattern: /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/ },
  { what: 'a focused or skipped test', pattern: /\b(?:it|test|describe)\.(?:only|skip|todo)\b/ },
  { what: 'an unfinished place', pattern: /\b(?:TODO|FIXME|XXX)\b/ },
  { what: 'a silenced compiler', pattern: /@ts-(?:ignore|nocheck)/ },
  { what: 'a silenced rule without its reason', pattern: /(?:eslint|oxlint)-disable(?!.* -- \S)/ },
];

/** The rules themselves, the configurations that name them, and generated files. */
const exempt = /^(?:tooling\/checks\/src\/forbidden-strings(?:\.test)?\.ts|pnpm-lock\.yaml|\.oxlintrc\.json)$/;
const text = /(?:\.(?:ts|mjs|cjs|js|json|md|ya?ml|sh|sql|html|css|toml)|(?:^|\/)(?:run|Dockerfile|\.[a-z]+))$/;
const maxFileBytes = 2 ** 20;

/** Finds text that must not be in the repository. */
export async function forbiddenStrings(): Promise<string> {
  const files = (await repositoryFiles()).filter((file) => text.test(file) && !exempt.test(file) && isSmallFile(file));
  return files.flatMap((file) => forbiddenIn(file, readFileSync(join(root, file), 'utf8'))).join('\n');
}

export function forbiddenIn(file: string, content: string): string[] {
  const active = rules.filter(({ except }) => except?.test(file) !== true);
  return content
    .split('\n')
    .flatMap((line, index) =>
      active
        .filter(({ pattern }) => pattern.test(line))
        .map(({ what }) => `${file}:${index + 1} holds ${what}: ${line.trim().slice(0, 120)}`),
    );
}

function isSmallFile(file: string): boolean {
  const stat = statSync(join(root, file), { throwIfNoEntry: false });
  return stat !== undefined && stat.isFile() && stat.size <= maxFileBytes;
}
