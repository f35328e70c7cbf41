import { styleText } from 'node:util';

import type { Check } from '../services/check-result.ts';
import { printable } from './printable.ts';

const colours = { ok: 'green', failed: 'red', lacks: 'yellow', unknown: 'yellow' } as const;
const nameWidth = 'copy source condition'.length;

export function checkLine({ name, status, message, code }: Check): string {
  const mark = styleText(colours[status], status.padEnd(7), { stream: process.stdout });
  const text = code === undefined ? message : `${code}: ${message}`;
  return `${mark} ${name.replaceAll('_', ' ').padEnd(nameWidth)}  ${printable(text)}`;
}
