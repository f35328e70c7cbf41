import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import { printTable } from '../harness/figures.ts';
import { mebibyte } from '../harness/transfers.ts';
import { Cut, Left, Refusal } from './exchange.ts';
import { fileWorks } from './file-works.ts';
import { objectWorks } from './object-works.ts';
import type { Work } from './object-works.ts';
import { some } from './scene.ts';
import type { Scene } from './scene.ts';
import { tenantWorks } from './tenant-works.ts';

const clients = 10;
/** Who do nothing but read slowly, and want no more connections to the store for it than there are for all. */
const slowClients = 8;
/** Milliseconds that a client rests at most: the machine is not to be measured, nor taken. */
const longestRest = 60;
/** More would say the same. */
const enough = 20;

const works: Readonly<Record<string, Work>> = { ...objectWorks, ...fileWorks, ...tenantWorks };
/** Downloads come more often than others. */
const deck = Object.keys(works)
  .filter((name) => name !== 'slow download')
  .flatMap((name) => Array.from({ length: name.endsWith('download') ? 4 : 1 }, () => name));

/** Whether a fault is the reason of it. */
export type Excuse = (error: Cut | Refusal) => boolean;

/** What came of one kind of work. */
interface Count {
  done: number;
  bytes: number;
  left: number;
  replaced: number;
  failed: number;
}

/** Mixed requests of several clients, each answer of which is looked at. */
export class Traffic {
  /** What no fault excuses. */
  readonly found: string[] = [];
  readonly #counts = new Map(Object.keys(works).map((name) => [name, { done: 0, bytes: 0, left: 0, replaced: 0, failed: 0 } as Count]));
  readonly #scene: Scene;
  readonly #faults: { readonly excuses: Excuse; endedAt: number }[] = [];

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  /** Until the signal, or until enough was found. */
  async run(signal: AbortSignal): Promise<void> {
    const one = async (names: readonly string[]): Promise<void> => {
      while (!signal.aborted && this.found.length < enough) {
        await this.#once(some(names));
        await delay(randomInt(longestRest));
      }
    };
    await Promise.all(Array.from({ length: clients + slowClients }, (_, index) => one(index < clients ? deck : ['slow download'])));
  }

  /** What was under way at any time during it may fail, as long as that is excused. */
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

  /** Uploads that may have been done although nobody was told. */
  get unheard(): number {
    const [forms, presigned] = ['form upload', 'presigned upload'].map((name) => this.#counts.get(name)!.failed);
    return forms! + presigned!;
  }

  async #once(name: string): Promise<void> {
    const count = this.#counts.get(name)!;
    const since = performance.now();
    try {
      const outcome = await works[name]!(this.#scene, some(this.#scene.tenants));
      if (outcome === 'idle') return;
      if (outcome === 'replaced') return void count.replaced++;
      count.done++;
      count.bytes += outcome;
    } catch (error) {
      if (error instanceof Left) return void count.left++;
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
