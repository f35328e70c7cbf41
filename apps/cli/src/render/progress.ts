import type { Output } from '../output.ts';
import { bytesText, durationText, grouped } from './units.ts';
import { monotonicMs } from '../clock.ts';

const redrawMs = 100;
const windowMs = 5000;

/** A line on stderr, if that is a terminal: files, bytes, rate, and the estimated time left. */
export class Progress {
  readonly #output: Output;
  readonly #timer: NodeJS.Timeout | undefined;
  #files = 0;
  #bytes = 0;
  #plannedFiles = 0;
  #plannedBytes = 0;
  /** Tasks whose size is not known yet. */
  #unmeasured = 0;
  #isPlanned = false;
  /** Totals of the last few seconds. */
  readonly #samples: { readonly at: number; readonly bytes: number; readonly files: number }[] = [];

  constructor(output: Output, options: { readonly isVisible: boolean }) {
    this.#output = output;
    if (!options.isVisible || !output.hasStatus) return;
    this.#timer = setInterval(() => this.#draw(), redrawMs).unref();
  }

  plan(files: number, bytes: number | undefined): void {
    this.#plannedFiles += files;
    if (bytes === undefined) this.#unmeasured += 1;
    else this.#plannedBytes += bytes;
  }

  /** @param known the size, in bytes, that the task was planned with */
  size(bytes: number, known: number | undefined): void {
    if (known === undefined) this.#unmeasured -= 1;
    this.#plannedBytes += bytes - (known ?? 0);
  }

  allPlanned(): void {
    this.#isPlanned = true;
  }

  moved(bytes: number): void {
    this.#bytes += bytes;
  }

  finished(files: number): void {
    this.#files += files;
  }

  end(): void {
    clearInterval(this.#timer);
    this.#output.status(undefined);
  }

  #draw(): void {
    const now = monotonicMs();
    this.#samples.push({ at: now, bytes: this.#bytes, files: this.#files });
    while ((this.#samples[0]?.at ?? now) < now - windowMs) this.#samples.shift();
    const first = this.#samples[0];
    const seconds = first === undefined ? 0 : (now - first.at) / 1000;
    const perSecond = (difference: number): number => (seconds > 0 ? difference / seconds : 0);
    const byteRate = perSecond(this.#bytes - (first?.bytes ?? 0));
    const fileRate = perSecond(this.#files - (first?.files ?? 0));
    this.#output.status([this.#total(), `${bytesText(Math.max(byteRate, 0))}/s`, ...this.#eta(byteRate, fileRate)].join('  '));
  }

  #total(): string {
    const more = this.#isPlanned ? '' : '+';
    const files = `${grouped(this.#files)}/${grouped(this.#plannedFiles)}${more} objects`;
    const bytes = bytesText(Math.max(this.#bytes, 0));
    return this.#unmeasured === 0 ? `${files}  ${bytes}/${bytesText(this.#plannedBytes)}${more}` : `${files}  ${bytes}`;
  }

  #eta(byteRate: number, fileRate: number): readonly string[] {
    if (!this.#isPlanned) return [];
    const byFiles = fileRate > 0 ? (this.#plannedFiles - this.#files) / fileRate : Number.POSITIVE_INFINITY;
    const byBytes = this.#unmeasured === 0 && byteRate > 0 ? (this.#plannedBytes - this.#bytes) / byteRate : Number.POSITIVE_INFINITY;
    const seconds = byBytes === Number.POSITIVE_INFINITY ? byFiles : byBytes;
    return seconds === Number.POSITIVE_INFINITY ? [] : [`ETA ${durationText(seconds)}`];
  }
}
