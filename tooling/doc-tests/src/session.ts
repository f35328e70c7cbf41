/** A command of a recorded session, and what it printed. */
export interface Step {
  readonly command: string;
  readonly printed: string;
}

/** Lines that begin with `$ ` are commands, lines that begin with `> ` continue them, and all others are output. */
export function stepsOf(code: string): readonly Step[] {
  const steps: { command: string; printed: string }[] = [];
  for (const line of code.trimEnd().split('\n')) {
    const last = steps.at(-1);
    if (line.startsWith('$ ')) steps.push({ command: line.slice(2), printed: '' });
    else if (last === undefined) throw new Error('A session begins with a command, behind "$ ".');
    else if (line.startsWith('> ') && last.printed === '') last.command += `\n${line.slice(2)}`;
    else last.printed += `${line}\n`;
  }
  return steps;
}

/** Whether `actual` matches the recorded text: `…` stands for any text within a line, and on a line of its own for any lines. */
export function isRecordOf(recorded: string, actual: string): boolean {
  const lines = recorded.split('\n').slice(0, -1);
  const pattern = lines.map((line) => (line.trim() === '…' ? '(?:.*\\n)*' : `${line.split('…').map(escaped).join('.*')}\\n`));
  return new RegExp(`^${pattern.join('')}$`).test(actual);
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`);
}
