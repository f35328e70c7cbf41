import { hasCode } from '@coffer/storage-core';

import { isConflict } from './database/error.ts';

/** Maximum number of calls per statement. */
const most = 64;

export interface Statements<P, R> {
  readonly one: (parameters: P) => Promise<R>;
  /** The same for several, with results in the same order; undefined when that cannot be done for all of them. */
  readonly many: (parameters: readonly P[]) => Promise<readonly R[] | undefined>;
}

/** Runs the calls of many callers as one statement: a statement in itself costs as much as the work of ten calls. */
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

  /** Runs the calls that wait now, up to `most` of them. Never rejects: the callers get the errors. */
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
        // An error or a conflict of one call does not concern the others, so each is run alone below. An unavailable database concerns all.
        if (hasCode(error, 'storage_unavailable') && !isConflict(error)) {
          for (const { reject } of taken) reject(error);
          return;
        }
      }
    }
    for (const { parameters, resolve, reject } of taken) await this.#statements.one(parameters).then(resolve, reject);
  }
}

/** Resolves once everything that has arrived over the network by now has been processed. That may be more to gather, and costs no time. */
export function allRead(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
