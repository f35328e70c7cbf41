import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import { printTable } from '../harness/figures.ts';
import { mebibyte } from '../harness/transfers.ts';
import { Aborted, Cut, Refusal } from './exchange.ts';
import { fileWorks } from './file-works.ts';
import { objectWorks } from './object-works.ts';
import type { Work } from './object-works.ts';
import { randomOf } from './scene.ts';
import type { Scene } from './scene.ts';
import { tenantWorks } from './tenant-works.ts';

const clients = 10;
/** Clients that only read slowly. They must not need more connections to the store than there are. */
const slowClients = 8;
/** The longest pause of a client, in milliseconds: this neither measures the machine nor should take all of it. */
const maxPauseMs = 60;
/** More findings would add nothing. */
const maxFound = 20;

const works: Readonly<Record<string, Work>> = { ...objectWorks, ...fileWorks, ...tenantWorks };
/** Downloads are more frequent than other work. */
const weightedWorks = Object.keys(works)
  .filter((name) => name !== 'slow download')
  .flatMap((name) => Array.from({ length: name.endsWith('download') ? 4 : 1 }, () => name));

/** Whether a fault explains an error. */
export type Excuse = (error: Cut | Refusal) => boolean;

/** The results of one kind of work. */
interface Count {
  done: number;
  bytes: number;
  left: number;
  replaced: number;
  failed: number;
}

/** Mixed requests of several clients; every answer is checked. */
export class Traffic {
  /** Errors that no fault explains. */
  readonly found: string[] = [];
  readonly #counts = new Map(Object.keys(works).map((name) => [name, { done: 0, bytes: 0, left: 0, replaced: 0, failed: 0 } as Count]));
  readonly #scene: Scene;
  readonly #faults: { readonly excuses: Excuse; endedAt: number }[] = [];

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  /** Runs until the signal, or until enough was found. */
  async run(signal: AbortSignal): Promise<void> {
    const one = async (names: readonly string[]): Promise<void> => {
      while (!signal.aborted && this.found.length < maxFound) {
        await this.#once(randomOf(names));
        await delay(randomInt(maxPauseMs));
      }
    };
    await Promise.all(
      Array.from({ length: clients + slowClients }, (_, index) => one(index < clients ? weightedWorks : ['slow download'])),
    );
  }

  /** Runs a fault. Whatever was under way at any time during it may fail if `excuses` accepts the error. */
  async during(fault: () => Promise<void>, excuses: Excuse): Promise<void> {
    const entry = { excuses, endedAt: Infinity };
    this.#faults.push(entry);
    await fault();
    entry.endedAt = performance.now();
  }

  print(title: string): void {
    const rows = [...this.#counts].map(([name, { done, bytes, left, replaced, failed }]) =>
      [name, done, left, replaced, failed, (bytes / mebibyte).toFixed(0)].map(String),
    );
    printTable(title, ['work', 'done', 'client left', 'replaced while read', 'failed in faults', 'MiB'], rows);
  }

  /** Uploads that may have succeeded although the client got no answer. */
  get unacknowledged(): number {
    const [forms, presigned] = ['form upload', 'presigned upload'].map((name) => this.#counts.get(name)!.failed);
    return forms! + presigned!;
  }

  async #once(name: string): Promise<void> {
    const count = this.#counts.get(name)!;
    const since = performance.now();
    try {
      const outcome = await works[name]!(this.#scene, randomOf(this.#scene.tenants));
      if (outcome === 'idle') return;
      if (outcome === 'replaced') return void count.replaced++;
      count.done++;
      count.bytes += outcome;
    } catch (error) {
      if (error instanceof Aborted) return void count.left++;
      const isTold = error instanceof Cut || error instanceof Refusal;
      if (!isTold || !this.#faults.some(({ excuses, endedAt }) => endedAt > since && excuses(error))) {
        const seconds = (performance.now() - (this.#faults.at(-1)?.endedAt ?? 0)) / 1000;
        const when = seconds < 0 ? 'in a fault' : `${seconds.toFixed(1)} s after the last fault`;
        this.found.push(
          `${new Date().toISOString()} ${name} for ${(performance.now() - since).toFixed(0)} ms, ${when}: ${error instanceof Error ? error.message : String(error)}`,
        );
        return;
      }
      count.failed++;
      await delay(250);
    }
  }
}
