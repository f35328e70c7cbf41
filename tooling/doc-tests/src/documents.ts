import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A fenced block of a document. */
export interface Block {
  /** Line of its opening fence, from 1. */
  readonly line: number;
  readonly language: string;
  readonly code: string;
  /** Why it is not run: the text after `no-run` in the info string. */
  readonly noRun?: string;
  /** The HTTP status, given as `status=404` in the info string, with which one of its requests must fail. */
  readonly status?: number;
}

export interface Document {
  /** Relative to the root of the repository. */
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
}

const root = new URL('../../../', import.meta.url);

/** All documents whose blocks are run. */
export function documents(): Document[] {
  const packages = folders('packages').map((name) => `packages/${name}/README.md`);
  const guides = readdirSync(new URL('docs/', root))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`);
  return ['README.md', ...guides, ...packages, 'apps/api/README.md', 'apps/cli/README.md']
    .filter((path) => existsSync(new URL(path, root)))
    .map((path) => {
      const text = readFileSync(new URL(path, root), 'utf8');
      return { path, text, blocks: blocksOf(text) };
    });
}

/** The fenced blocks of Markdown; those in lists lose their indentation. */
export function blocksOf(text: string): Block[] {
  const blocks: Block[] = [];
  let open:
    | { readonly fence: RegExp; readonly indent: string; readonly line: number; readonly info: string; readonly code: string[] }
    | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    if (open === undefined) {
      const [, indent = '', fence, info = ''] = /^( *)(`{3,})([^`]*)$/.exec(line) ?? [];
      if (fence !== undefined) open = { fence: new RegExp(`^ *${fence}\`*$`), indent, line: index + 1, info, code: [] };
    } else if (open.fence.test(line)) {
      blocks.push(blockOf(open.line, open.info, `${open.code.join('\n')}\n`));
      open = undefined;
    } else {
      open.code.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line);
    }
  }
  return blocks;
}

function blockOf(line: number, info: string, code: string): Block {
  const [language = '', ...marks] = info.trim().split(/\s+/);
  const [, status] = /^status=(\d{3})$/.exec(marks[0] ?? '') ?? [];
  return {
    line,
    language,
    code,
    ...(marks[0]?.startsWith('no-run') && { noRun: marks.slice(1).join(' ') }),
    ...(status !== undefined && { status: Number(status) }),
  };
}

/** Links of a document to headings that do not exist, in itself or in another document. (`npm run check` finds missing files.) */
export function brokenHeadingsOf({ path, text }: Document): string[] {
  const links = Array.from(proseOf(text).matchAll(/\]\(([^)\s:#]*)#([^)\s]+)\)/g), ([, target = '', heading = '']) => ({
    target,
    heading,
  }));
  return links
    .map(({ target, heading }) => ({ file: target === '' ? path : posix.join(posix.dirname(path), target), heading }))
    .filter(
      ({ file, heading }) => existsSync(new URL(file, root)) && !headingsOf(readFileSync(new URL(file, root), 'utf8')).includes(heading),
    )
    .map(({ file, heading }) => `${file}#${heading}`);
}

/** The anchors that GitHub derives from the headings. */
function headingsOf(text: string): string[] {
  return Array.from(proseOf(text).matchAll(/^#+ (.*)$/gm), ([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function proseOf(text: string): string {
  return text.replaceAll(/^( *)(`{3,})[^]*?^ *\2`*$/gm, '');
}

function folders(name: string): string[] {
  return readdirSync(new URL(`${name}/`, root), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
}

export function pathOf(path: string): string {
  return fileURLToPath(new URL(path, root));
}
