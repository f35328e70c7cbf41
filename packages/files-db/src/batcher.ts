import { hasCode } from '@coffer/storage-core';

import { isConflict } from './database/error.ts';

/** Maximum number of calls per statement. */
const maxBatch = 64;

export interface BatchStatements<P, R> {
  readonly one: (parameters: P) => Promise<R>;
  /** The same for several, with results in the same order; undefined when that cannot be done for all of them. */
  readonly many: (parameters: readonly P[]) => Promise<readonly R[] | undefined>;
}

/** Runs the calls of many callers as one statement: a statement in itself costs as much as the work of ten calls. */
export class Batcher<P, R> {
  readonly #statements: BatchStatements<P, R>;
  #waiting: { readonly parameters: P; readonly resolve: (result: R) => void; readonly reject: (error: unknown) => void }[] = [];

  constructor(statements: BatchStatements<P, R>) {
    this.#statements = statements;
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  add(parameters: P): Promise<R> {
    return new Promise((resolve, reject) => this.#waiting.push({ parameters, resolve, reject }));
  }

  /** Runs the calls that wait now, up to `maxBatch` of them. Never rejects: the callers get the errors. */
  async flush(): Promise<void> {
    const batch = this.#waiting.splice(0, maxBatch);
    if (batch.length > 1) {
      try {
        const results = await this.#statements.many(batch.map(({ parameters }) => parameters));
        if (results !== undefined) {
          for (const [index, { resolve }] of batch.entries()) resolve(results[index]!);
          return;
        }
      } catch (error) {
        // An error or a conflict of one call does not concern the others, so each is run alone below. An unavailable database concerns all.
        if (hasCode(error, 'storage_unavailable') && !isConflict(error)) {
          for (const { reject } of batch) reject(error);
          return;
        }
      }
    }
    for (const { parameters, resolve, reject } of batch) await this.#statements.one(parameters).then(resolve, reject);
  }
}

/** Resolves once everything that has arrived over the network by now has been processed. That may be more to gather, and costs no time. */
export function inputProcessed(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
