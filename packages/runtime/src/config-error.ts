/** One bad variable. `message` says what it may be; it never holds the value. */
export interface ConfigMistake {
  readonly variable: string;
  readonly message: string;
}

/** Everything that is wrong with the configuration, at once. `message` is for people, with one line per mistake. */
export class ConfigError extends Error {
  readonly mistakes: readonly ConfigMistake[];

  constructor(mistakes: readonly ConfigMistake[], options?: { readonly cause?: unknown }) {
    const count = mistakes.length === 1 ? 'a mistake' : `${mistakes.length} mistakes`;
    super([`The configuration has ${count}:`, ...mistakes.map(({ variable, message }) => `  ${variable}: ${message}`)].join('\n'), options);
    this.name = 'ConfigError';
    this.mistakes = mistakes;
  }
}
