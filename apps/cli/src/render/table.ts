import { styleText } from 'node:util';

import { printable } from './printable.ts';

/** Characters of a cell. A longer cell sticks out without widening its column: one tenant may have thousands of buckets. */
const widest = 100;

/** Rows below a heading, in columns as wide as their widest cell up to `widest`. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [heading, ...rows].map((row) => row.map(printable));
  const widthOf = ({ length }: string): number => (length > widest ? 0 : length);
  const widths = heading.map((_name, column) => cells.reduce((width, row) => Math.max(width, widthOf(row[column] ?? '')), 0));
  const lines = cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [emphasized(lines[0] ?? ''), ...lines.slice(1)].join('\n');
}

/** Bold on a terminal with colours, unless NO_COLOR is set. */
function emphasized(text: string): string {
  return styleText('bold', text, { stream: process.stdout });
}

/** Names and values, one pair per line. */
export function fields(values: Readonly<Record<string, string>>): string {
  const width = Math.max(...Object.keys(values).map((name) => name.length));
  return Object.entries(values)
    .map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}`)
    .join('\n');
}
