import type { ConfigValue, DescribedVariable, VariableGroup } from '@coffer/runtime';

import { table } from './table.ts';

export function configurationJson(groups: readonly VariableGroup[]): Readonly<Record<string, object>> {
  return Object.fromEntries(
    groups.flatMap(({ variables }) => variables.map(({ name, value = null, ...origin }) => [name, { value, ...origin }] as const)),
  );
}

/** One table, in which each group has its title. */
export function configurationTable(groups: readonly VariableGroup[]): string {
  const rows = groups.flatMap(({ variables }) =>
    variables.map((variable) => [variable.name, valueText(variable.value), sourceText(variable)]),
  );
  const [heading = '', ...lines] = table(['VARIABLE', 'VALUE', 'SOURCE'], rows).split('\n');
  const parts = groups.map(({ title, variables }) => ['', title, ...lines.splice(0, variables.length)]);
  return [heading, ...parts.flat()].join('\n');
}

function valueText(value: ConfigValue | undefined): string {
  if (value === undefined) return '-';
  return typeof value === 'object' ? value.join(', ') : String(value);
}

function sourceText({ source, from = [] }: DescribedVariable): string {
  return source === 'derived' ? `from ${from.join(', ')}` : source === 'environment' ? 'set' : 'default';
}
