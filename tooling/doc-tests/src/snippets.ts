import type { Block } from './documents.ts';

/** The file to save a module in: its first line may name it (`// my-backend.ts`), for others to import. */
export function fileOf({ line, code }: Block): string {
  return /^\/\/ ([\w.-]+\.ts)\n/.exec(code)?.[1] ?? `line-${line}.ts`;
}

/** The output that a module promises: comments directly below a `console.log`. Undefined when it promises none. */
export function printedBy(code: string): string | undefined {
  const lines = code.split('\n');
  const printed = lines.filter((line, index) => isComment(line) && isBelowPrint(lines, index));
  return printed.length === 0 ? undefined : printed.map((line) => line.trim().slice(3)).join('\n');
}

function isBelowPrint(lines: readonly string[], index: number): boolean {
  let above = index - 1;
  while (isComment(lines[above] ?? '')) above -= 1;
  return /console\.log\(/.test(lines[above] ?? '');
}

function isComment(line: string): boolean {
  return /^ *\/\/ /.test(line);
}

/** Whether some line of the output is JSON with the names and types of `shown`. */
export function sameShape(shown: unknown, printed: string): boolean {
  const wanted = JSON.stringify(shapeOf(shown));
  return printed.split('\n').some((line) => {
    try {
      return JSON.stringify(shapeOf(JSON.parse(line))) === wanted;
    } catch {
      return false;
    }
  });
}

function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])];
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, shapeOf(each)]));
}
