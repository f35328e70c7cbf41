import { setTimeout as delay } from 'node:timers/promises';

import { databaseError, isConflict } from './database-error.ts';

/** Times that something is tried which others are in the way of. */
const attempts = 20;

/** Runs something that is done as a whole or not at all, and again where it was undone for another one in its way. */
export async function despiteConflicts<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      if (attempt === attempts || !isConflict(databaseError(error))) throw error;
      await delay(Math.random() * attempt * 5);
    }
  }
}
