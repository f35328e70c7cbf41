/** The median; for an even number of values, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** `median (min-max)`. */
export function spread(values: readonly number[], digits = 0): string {
  return `${median(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)}-${Math.max(...values).toFixed(digits)})`;
}

/** Ratios of values measured in the same round: a changing load on the machine affects them least. */
export function pairwise(values: readonly number[], base: readonly number[]): readonly number[] {
  return values.map((value, round) => value / base[round]!);
}

/** Writes rows under headings, with numbers aligned to the right. */
export function printTable(title: string, headings: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = headings.map((heading, column) => Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join('  ');
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  process.stdout.write(`\n${[title, line(headings), rule, ...rows.map(line)].join('\n')}\n`);
}

/** Writes a remark to stderr, apart from the tables. */
export function remark(text: string): void {
  process.stderr.write(`[bench] ${text}\n`);
}

/** The order of contenders in a round. A different one begins each round, so that none always runs on a freshly idle machine. */
export function rotated<T>(contenders: readonly T[], round: number): readonly T[] {
  const first = round % contenders.length;
  return [...contenders.slice(first), ...contenders.slice(0, first)];
}
