// Writes the reference of all commands into docs/cli.md: `pnpm build && pnpm docs`. A test fails when it is out of date.
import { readFile, writeFile } from 'node:fs/promises';

/** A flag as oclif's manifest describes it. */
interface Flag {
  readonly name: string;
  readonly char?: string;
  readonly description: string;
  readonly type: 'boolean' | 'option';
  readonly helpValue?: string;
  readonly helpGroup?: string;
  readonly default?: string | number | boolean;
  readonly options?: readonly string[];
  readonly required?: boolean;
  readonly multiple?: boolean;
}

interface Arg {
  readonly name: string;
  readonly description: string;
  readonly required?: boolean;
  readonly multiple?: boolean;
}

interface Command {
  readonly id: string;
  readonly summary: string;
  readonly description?: string;
  readonly usage?: string;
  readonly args: Readonly<Record<string, Arg>>;
  readonly flags: Readonly<Record<string, Flag>>;
  readonly examples: readonly (string | { readonly description: string; readonly command: string })[];
}

interface Manifest {
  readonly commands: Readonly<Record<string, Command>>;
}

const begin = '<!-- The reference: written by apps/cli/scripts/command-reference.ts. -->';
const end = '<!-- The end of the reference. -->';

/**
 * The document with its reference replaced by one of these commands.
 * @throws Error when the document lacks the marker lines
 */
export function withReference(document: string, manifest: Manifest): string {
  const [head, rest] = document.split(`${begin}\n`);
  const [, tail] = rest?.split(end) ?? [];
  if (head === undefined || tail === undefined) throw new Error(`The document needs the lines "${begin}" and "${end}".`);
  const commands = Object.values(manifest.commands).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const shared = sharedRows(commands);
  const sections = [sharedSection(commands, shared), ...commands.map((command) => section(command, shared))];
  return `${head}${begin}\n\n${sections.join('\n')}\n${end}${tail}`;
}

/** The rows of flags that many commands have in the same words. */
function sharedRows(commands: readonly Command[]): ReadonlyMap<string, readonly string[]> {
  const counted = new Map<string, number>();
  const found = new Map<string, readonly string[]>();
  for (const row of commands.flatMap((command) => ownFlags(command).map(flagRow))) {
    const text = row.join('|');
    counted.set(text, (counted.get(text) ?? 0) + 1);
    if (counted.get(text) === 4) found.set(text, row);
  }
  return found;
}

function sharedSection(commands: readonly Command[], shared: ReadonlyMap<string, readonly string[]>): string {
  const acls = commands.flatMap(ownFlags).find(({ name, options }) => name === 'acl' && options !== undefined)?.options ?? [];
  const parts = [
    '### Flags of several commands',
    ...rows('flag', [...shared.values()]),
    `\`--include\` and \`--exclude\` take [patterns](#patterns). Canned ACLs are ${acls.map((acl) => `\`${acl}\``).join(', ')}.`,
  ];
  return `${parts.join('\n\n')}\n`;
}

function ownFlags({ flags }: Command): readonly Flag[] {
  return Object.values(flags).filter(({ helpGroup }) => helpGroup !== 'GLOBAL');
}

function section(command: Command, shared: ReadonlyMap<string, readonly string[]>): string {
  const { id, summary, description, args, examples } = command;
  const flagRows = ownFlags(command).map(flagRow);
  const isShared = (row: readonly string[]): boolean => shared.has(row.join('|'));
  const others = flagRows.filter((row) => isShared(row)).map(([name]) => name);
  const link = others.length === 0 ? [] : [[others.join(', '), 'See [flags of several commands](#flags-of-several-commands).']];
  const parts = [
    `### ${id.replaceAll(':', ' ')}`,
    summary,
    fenced(usageOf(command)),
    ...(description === undefined ? [] : [cell(description)]),
    ...rows('argument', Object.values(args).map(argRow)),
    ...rows('flag', [...flagRows.filter((row) => !isShared(row)), ...link]),
    fenced(examples.map((example) => exampleText(example, command)).join('\n')),
  ];
  return `${parts.join('\n\n')}\n`;
}

function usageOf({ id, usage, args, flags }: Command): string {
  if (usage !== undefined) return `coffer ${filled(usage, id)}`;
  const words = Object.values(args).map(({ name, required, multiple }) => {
    const word = `${name.toUpperCase()}${multiple === true ? '...' : ''}`;
    return required === true ? word : `[${word}]`;
  });
  const required = Object.values(flags).filter((flag) => flag.required === true);
  return ['coffer', ...id.split(':'), ...words, ...required.map((flag) => flagText(flag)), '[FLAGS]'].join(' ');
}

function argRow({ name, description, multiple }: Arg): readonly string[] {
  return [`\`${name.toUpperCase()}${multiple === true ? '...' : ''}\``, description];
}

function flagRow(flag: Flag): readonly string[] {
  const { name, char, description, options, required, default: preset } = flag;
  const title = `${char === undefined ? '' : `\`-${char}\`, `}\`${flagText(flag)}\``;
  const choices = options === undefined || name === 'acl' ? [] : [`One of ${options.map((option) => `\`${option}\``).join(', ')}.`];
  const standard = preset === undefined || preset === '' || preset === false ? [] : [`Default: \`${String(preset)}\`.`];
  return [title, [description, ...choices, ...standard, ...(required === true ? ['Required.'] : [])].join(' ')];
}

function flagText({ name, type, helpValue, multiple }: Flag): string {
  if (type === 'boolean') return `--${name}`;
  return `--${name} ${helpValue ?? name.toUpperCase()}${multiple === true ? ' ...' : ''}`;
}

function rows(heading: string, cells: readonly (readonly string[])[]): readonly string[] {
  if (cells.length === 0) return [];
  return [[`| ${heading} | |`, '| --- | --- |', ...cells.map((row) => `| ${row.map(tableCell).join(' | ')} |`)].join('\n')];
}

function exampleText(example: Command['examples'][number], { id }: Command): string {
  return typeof example === 'string'
    ? filled(example, id)
    : `${filled(example.command, id)}   # ${example.description.charAt(0).toLowerCase()}${example.description.slice(1)}`;
}

function filled(template: string, id: string): string {
  return template.replaceAll('<%= config.bin %>', 'coffer').replaceAll('<%= command.id %>', id.replaceAll(':', ' '));
}

function fenced(text: string): string {
  return `\`\`\`\n${text}\n\`\`\``;
}

function cell(text: string): string {
  return text.replaceAll('<', '&lt;').replaceAll('*', String.raw`\*`);
}

function tableCell(text: string): string {
  return cell(text).replaceAll('|', String.raw`\|`);
}

if (import.meta.main) {
  const [document, manifest] = [new URL('../../../docs/cli.md', import.meta.url), new URL('../oclif.manifest.json', import.meta.url)];
  const text = await readFile(document, 'utf8');
  await writeFile(document, withReference(text, JSON.parse(await readFile(manifest, 'utf8')) as Manifest));
}
