import type { Result, Router } from 'hono/router';
import { TrieRouter } from 'hono/router/trie-router';

/** A trie, and beside it what it has found for each path without parameters: those are asked for again and again. */
export class RouteTable<T> implements Router<T> {
  readonly name = 'RouteTable';
  readonly #trie = new TrieRouter<T>();
  readonly #fixed = new Map<string, Map<string, Result<T>>>();

  add(method: string, path: string, handler: T): void {
    this.#trie.add(method, path, handler);
    if (!/[:*]/.test(path)) this.#fixed.set(path, new Map());
    for (const found of this.#fixed.values()) found.clear();
  }

  match(method: string, path: string): Result<T> {
    const byMethod = this.#fixed.get(path);
    if (byMethod === undefined) return this.#trie.match(method, path);
    let found = byMethod.get(method);
    if (found === undefined) byMethod.set(method, (found = this.#trie.match(method, path)));
    return found;
  }
}
