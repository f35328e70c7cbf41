import { nameOf } from '../bulk/task.ts';
import type { Failure, Follower, Outcome, Task } from '../bulk/task.ts';
import type { Output } from '../output.ts';
import { ReorderBuffer } from './reorder-buffer.ts';
import { JsonDocument } from './json-document.ts';
import { Progress } from './progress.ts';
import { Spool } from './spool.ts';
import { bytesText, countText, durationText, grouped } from './units.ts';
import { monotonicMs } from '../clock.ts';

/** How the results of one command are shown. */
export interface ReportStyle<R> {
  /** The past tense of what was done, as in JSON: `uploaded`. Lines and the summary begin with it, too. */
  readonly past: string;
  /** The infinitive, for dry runs: `upload`. */
  readonly verb: string;
  /** Name of the array in JSON. Default `past`. */
  readonly member?: string;
  /** `PATH -> BUCKET/KEY` */
  line(result: R): string;
  json(result: R): unknown;
  size(result: R): number;
  /** Whether JSON has `dry_run` even when it is false. */
  readonly alwaysShowsDryRun?: boolean;
  /** Members after the array. */
  after?(totals: Totals): Readonly<Record<string, unknown>>;
  /** Whether lines go to stderr, because stdout carries something else. */
  readonly usesStderr?: boolean;
  /** Why a dry run did nothing. */
  readonly dryRunHint?: string;
}

export interface Totals {
  readonly count: number;
  readonly bytes: number;
  readonly skipped: number;
  readonly failed: number;
}

/** Reports on a bulk command while it runs: a line per file or one JSON document, failures, progress and a summary. */
export class BulkReport<R> implements Follower<R> {
  readonly #output: Output;
  readonly #style: ReportStyle<R>;
  readonly #dryRun: boolean;
  readonly #quiet: boolean;
  readonly #document: JsonDocument;
  readonly #reorderBuffer = new ReorderBuffer<R>();
  readonly #failures = new Spool<object>();
  readonly #progress: Progress;
  readonly #since = monotonicMs();
  #count = 0;
  #bytes = 0;
  #skipped = 0;
  #failed = 0;
  #hasBegun = false;

  constructor(output: Output, style: ReportStyle<R>, options: { readonly dryRun: boolean; readonly quiet: boolean }) {
    this.#output = output;
    this.#style = style;
    this.#dryRun = options.dryRun;
    this.#quiet = options.quiet;
    this.#document = new JsonDocument(output);
    const showsContent = style.usesStderr === true && process.stdout.isTTY; // among which progress would be drawn
    this.#progress = new Progress(output, { isVisible: !options.dryRun && !showsContent });
  }

  get totals(): Totals {
    return { count: this.#count, bytes: this.#bytes, skipped: this.#skipped, failed: this.#failed };
  }

  /** Runs the command. Failures make the exit status 1. @throws what `work` throws */
  async during(work: () => Promise<void>): Promise<void> {
    let isComplete = false;
    try {
      await this.#document.guard(() => (this.#output.json ? this.#withFailures(work) : work()));
      isComplete = true;
    } finally {
      this.#progress.end();
      await this.#failures.close();
      if (this.#failed > 0) process.exitCode = 1;
      if (!this.#output.json && (isComplete ? !this.#output.isClosed : this.#hasResults)) this.#line(this.#summary(isComplete));
    }
  }

  get #hasResults(): boolean {
    return this.#count > 0 || this.#failed > 0;
  }

  planned({ subject, count = 1, bytes }: Task<R>): void {
    if (this.#output.json) this.#reorderBuffer.planned(subject);
    this.#progress.plan(count, bytes);
  }

  allPlanned(): void {
    this.#progress.allPlanned();
  }

  sized(bytes: number, known: number | undefined): void {
    this.#progress.size(bytes, known);
  }

  moved(bytes: number): void {
    this.#progress.moved(bytes);
  }

  finished({ subject, count = 1 }: Task<R>, { done, skipped = 0, failed = [] }: Outcome<R>): Promise<void> | void {
    const { json } = this.#output;
    this.#skipped += skipped;
    for (const result of done) {
      this.#count += 1;
      this.#bytes += this.#style.size(result);
      if (!json && !this.#quiet) this.#line(`${this.#dryRun ? `would ${this.#style.verb}` : this.#style.past} ${this.#style.line(result)}`);
    }
    if (json) this.#appendAny(this.#reorderBuffer.ended(subject, done));
    for (const failure of failed) this.#report(failure);
    this.#progress.finished(count);
    if (process.stdout.writableNeedDrain) return this.#output.ready();
  }

  failed(failure: Failure): void {
    if (this.#output.json) this.#appendAny(this.#reorderBuffer.ended(failure.subject));
    this.#report(failure);
    this.#progress.finished(1);
  }

  #line(text: string): void {
    if (this.#style.usesStderr === true) this.#output.note(text);
    else this.#output.line(text);
  }

  #report({ subject, problem }: Failure): void {
    this.#failed += 1;
    this.#output.failure(nameOf(subject), problem);
    if (this.#output.json) this.#failures.add({ ...subject, ...problem });
  }

  #appendAny(results: readonly R[]): void {
    if (results.length > 0) this.#append(results);
  }

  #append(results: readonly R[]): void {
    if (!this.#hasBegun && (this.#dryRun || this.#style.alwaysShowsDryRun === true)) this.#document.value('dry_run', this.#dryRun);
    this.#hasBegun = true;
    this.#document.array(
      this.#style.member ?? this.#style.past,
      results.map((result) => this.#style.json(result)),
    );
  }

  /** Reports what has been done and what has failed even when the command ends early. */
  async #withFailures(work: () => Promise<void>): Promise<void> {
    let error: unknown;
    let hasThrown = false;
    try {
      await work();
    } catch (thrown) {
      if (!this.#hasResults) throw thrown;
      error = thrown;
      hasThrown = true;
    }
    this.#append(this.#reorderBuffer.drain());
    for (const [name, value] of Object.entries(this.#style.after?.(this.totals) ?? {})) this.#document.value(name, value);
    this.#document.array('failed', []);
    for await (const failure of this.#failures.drain()) this.#document.array('failed', [failure]);
    if (hasThrown) throw error;
  }

  #summary(isComplete: boolean): string {
    const { verb, past, dryRunHint = 'nothing was done (--dry-run)' } = this.#style;
    const total = `${countText(this.#count, 'object')} (${bytesText(this.#bytes)})`;
    const others = [
      ...(this.#skipped > 0 ? [`${grouped(this.#skipped)} skipped`] : []),
      ...(this.#failed > 0 ? [`${grouped(this.#failed)} failed`] : []),
      ...(isComplete ? [] : ['then stopped']),
    ];
    if (this.#dryRun) return [`would ${verb} ${total}`, ...others].join(', ') + `; ${dryRunHint}`;
    return [`${past} ${total} in ${durationText((monotonicMs() - this.#since) / 1000)}`, ...others].join(', ');
  }
}
