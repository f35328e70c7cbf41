import { setTimeout as delay } from 'node:timers/promises';

import { databaseError, isConflict } from './error.ts';

/** How often an operation that conflicts with others is tried. */
const maxAttempts = 20;

/** Runs something that takes effect as a whole or not at all, and again when it was undone because of a conflict. */
export async function retryConflicts<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      if (attempt === maxAttempts || !isConflict(databaseError(error))) throw error;
      await delay(Math.random() * attempt * 5);
    }
  }
}
