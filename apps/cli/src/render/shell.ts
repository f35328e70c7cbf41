/** Quotes text for a POSIX shell. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The same where a shell would otherwise take the text for something else. */
export function quotedIfNeeded(text: string): string {
  return /[^\w./:@%+=,-]/.test(text) ? quoted(text) : text;
}
