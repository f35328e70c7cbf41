import type { Sql } from 'postgres';

import { Batcher, inputProcessed } from './batcher.ts';
import type { FileRow } from './file-record.ts';
import { findFile, findFiles } from './file-statements.ts';
import type { SoughtFile } from './file-statements.ts';

/** Finds files. Requests that arrive together share one statement. */
export class FileFinder {
  readonly #batcher: Batcher<SoughtFile, FileRow | undefined>;

  constructor(sql: Sql) {
    this.#batcher = new Batcher({
      one: async (sought) => {
        const [row] = await findFile(sql, sought);
        return row;
      },
      async many(all) {
        const rows = await findFiles(sql, { sought: JSON.stringify(all.map((sought, place) => ({ ...sought, place }))) });
        const byPlace = new Map(rows.map((row) => [row.place, row]));
        return all.map((_, place) => byPlace.get(place));
      },
    });
  }

  /** See `findFile`. */
  find(sought: SoughtFile): Promise<FileRow | undefined> {
    const isFirst = !this.#batcher.isWaiting;
    const found = this.#batcher.add(sought);
    if (isFirst) void this.#run();
    return found;
  }

  async #run(): Promise<void> {
    await inputProcessed();
    while (this.#batcher.isWaiting) void this.#batcher.flush();
  }
}
