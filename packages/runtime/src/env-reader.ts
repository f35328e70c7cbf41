import { distance } from 'fastest-levenshtein';

import type { ConfigMistake } from './config-error.ts';

/** Environment variables; an empty one counts as not set. */
export type Env = Readonly<Record<string, string | undefined>>;

/** The result of parsing a text. A problem says what the variable may be and never repeats the text, which may be a secret. */
export type Parsed<T> = { readonly value: T } | { readonly problem: string };
export type Parser<T> = (text: string) => Parsed<T>;

/** Reads variables one by one. Records which variables it knows, where each value came from, and all mistakes. */
export class EnvReader {
  readonly mistakes: ConfigMistake[] = [];
  readonly warnings: string[] = [];
  readonly sources: Record<string, 'env' | 'default'> = {};
  readonly #env: Env;

  constructor(env: Env) {
    this.#env = env;
  }

  /** Undefined when the variable is not set; an empty one counts as not set. */
  optional<T>(variable: string, parser: Parser<T>): T | undefined {
    const text = this.#env[variable] ?? '';
    this.sources[variable] = text === '' ? 'default' : 'env';
    if (text === '') return undefined;
    const parsed = parser(text);
    if ('value' in parsed) return parsed.value;
    this.mistake(variable, parsed.problem);
    return undefined;
  }

  /** `fallback` when the variable is not set or is wrong. */
  value<T>(variable: string, parser: Parser<T>, fallback: NoInfer<T>): T {
    return this.optional(variable, parser) ?? fallback;
  }

  isSet(variable: string): boolean {
    return (this.#env[variable] ?? '') !== '';
  }

  mistake(variable: string, message: string): void {
    this.mistakes.push({ variable, message });
  }

  /** Variables with one of these prefixes that nothing has read. */
  unread(prefixes: readonly string[]): readonly string[] {
    return Object.keys(this.#env).filter(
      (name) => this.isSet(name) && !(name in this.sources) && prefixes.some((prefix) => name.startsWith(prefix)),
    );
  }

  /** The variables that `unread` names, with their values. */
  rest(prefix: string): Readonly<Record<string, string>> {
    return Object.fromEntries(this.unread([prefix]).map((name) => [name, this.#env[name] ?? '']));
  }

  /** The variable that was most likely meant, if any is close. */
  closest(name: string): string | undefined {
    const [best] = Object.keys(this.sources)
      .map((known) => ({ known, mistakes: distance(name, known) }))
      .toSorted((a, b) => a.mistakes - b.mistakes);
    return best !== undefined && best.mistakes <= Math.max(2, name.length / 4) ? best.known : undefined;
  }
}
