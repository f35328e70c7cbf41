/** Quotes text for a POSIX shell. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The same where a shell would otherwise take the text for something else. */
function quotedIfNeeded(text: string): string {
  return /[^\w./:@%+=,-]/.test(text) ? quoted(text) : text;
}

/** A key as the last argument of a command. */
export function keyArgument(key: string): string {
  return `${key.startsWith('-') ? '-- ' : ''}${quotedIfNeeded(key)}`;
}
