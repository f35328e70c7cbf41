import type { Result, Router } from 'hono/router';
import { TrieRouter } from 'hono/router/trie-router';

/** A path with one parameter that spans slashes, such as `/objects/:key{.+}/acl`. */
interface Spanning<T> {
  readonly method: string;
  readonly before: string;
  readonly name: string;
  readonly after: string;
  readonly handler: T;
}

const spanning = /^([^:*]*):(\w+)\{\.\+\}([^:*]*)$/;

/**
 * A trie, plus a cache of its results for paths without parameters, which are requested again and again. Paths whose parameter spans
 * slashes are kept apart: the trie would retry them from every segment of the requested path, and anybody may send thousands of segments.
 */
export class RouteTable<T> implements Router<T> {
  readonly name = 'RouteTable';
  readonly #trie = new TrieRouter<T>();
  readonly #fixed = new Map<string, Map<string, Result<T>>>();
  readonly #spanning: Spanning<T>[] = [];

  add(method: string, path: string, handler: T): void {
    const [, before, name, after] = spanning.exec(path) ?? [];
    if (before !== undefined && name !== undefined && after !== undefined) {
      this.#spanning.push({ method, before, name, after, handler });
      return;
    }
    this.#trie.add(method, path, handler);
    if (!/[:*]/.test(path)) this.#fixed.set(path, new Map());
    for (const found of this.#fixed.values()) found.clear();
  }

  match(method: string, path: string): Result<T> {
    const byMethod = this.#fixed.get(path);
    if (byMethod === undefined) return this.#spanned(method, path) ?? this.#trie.match(method, path);
    let found = byMethod.get(method);
    if (found === undefined) byMethod.set(method, (found = this.#trie.match(method, path)));
    return found;
  }

  #spanned(method: string, path: string): Result<T> | undefined {
    const found = this.#spanning.filter(
      (route) =>
        route.method === method &&
        path.length > route.before.length + route.after.length &&
        path.startsWith(route.before) &&
        path.endsWith(route.after),
    );
    if (found.length === 0) return undefined;
    return [found.map(({ handler, before, name, after }) => [handler, { [name]: path.slice(before.length, path.length - after.length) }])];
  }
}
