import { hasCode } from '@coffer/storage-core';

import { isConflict } from './database-error.ts';

/** Most in one statement. */
const most = 64;

export interface Statements<P, R> {
  readonly one: (parameters: P) => Promise<R>;
  /** The same for several; undefined when that cannot be done for all of them. */
  readonly many: (parameters: readonly P[]) => Promise<readonly R[] | undefined>;
}

/** What is to be done by one statement, however many ask for it: a statement costs as much as what ten of them want of it. */
export class Gathered<P, R> {
  readonly #statements: Statements<P, R>;
  #waiting: { readonly parameters: P; readonly resolve: (result: R) => void; readonly reject: (error: unknown) => void }[] = [];

  constructor(statements: Statements<P, R>) {
    this.#statements = statements;
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  add(parameters: P): Promise<R> {
    return new Promise((resolve, reject) => this.#waiting.push({ parameters, resolve, reject }));
  }

  /** Does what is waiting now. Never rejects: whoever waits is told. */
  async take(): Promise<void> {
    const taken = this.#waiting.splice(0, most);
    if (taken.length > 1) {
      try {
        const results = await this.#statements.many(taken.map(({ parameters }) => parameters));
        if (results !== undefined) {
          for (const [index, { resolve }] of taken.entries()) resolve(results[index]!);
          return;
        }
      } catch (error) {
        // What is wrong with one of them, or in its way, is nobody else's; when the database is away, that is all the same to all.
        if (hasCode(error, 'storage_unavailable') && !isConflict(error)) {
          for (const { reject } of taken) reject(error);
          return;
        }
      }
    }
    for (const { parameters, resolve, reject } of taken) await this.#statements.one(parameters).then(resolve, reject);
  }
}

/** Resolves once what has come over the network by now has been looked at: that may be more to gather, and is no time lost. */
export function allRead(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
