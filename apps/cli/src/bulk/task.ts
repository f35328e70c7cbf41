import type { Problem } from '../problem.ts';

/** What a failure is about: an object or a local file. */
export type Subject = { readonly key: string } | { readonly path: string };

export interface Failure {
  readonly subject: Subject;
  readonly problem: Problem;
}

/** The result of a task, or of a part of one. */
export interface Outcome<R> {
  readonly done: readonly R[];
  /** How many objects or files needed no work. */
  readonly skipped?: number;
  readonly failed?: readonly Failure[];
}

/** What a task uses while it runs. */
export interface Running {
  readonly signal: AbortSignal;
  /** Reports how many bytes will pass, once that is known. */
  sized(bytes: number): void;
  /** Reports bytes that have passed. */
  moved(bytes: number): void;
  /** Reports that less is left to do than after any earlier attempt, so that the count of retries starts again. */
  advanced(): void;
  /** Whether nothing else runs although more could: a task that runs alone may take more of the machine. */
  isAlone(): boolean;
}

/** One unit of work of a bulk command. Planning it costs nothing, and running it again after a failure is harmless. */
export interface Task<R> {
  readonly subject: Subject;
  /** How many objects or files it covers. Default 1. */
  readonly count?: number;
  /** Bytes that will pass, if that is known before it runs. */
  readonly bytes?: number | undefined;
  /** Whether `run` may be called only once, because it consumes its input. */
  readonly isOnce?: boolean;
  /** What would be done, for a dry run; empty where it would be skipped. */
  preview(): readonly R[] | Promise<readonly R[]>;
  run(running: Running): Promise<Outcome<R>>;
  /** Called after a failure, once `run` will not be called again: cleans up what `run` left to continue from. */
  abandon?(): Promise<void>;
}

/** An element of a plan: something to do, or something that cannot be done. */
export type Planned<R> = Task<R> | Failure;
export type Plan<R> = AsyncIterable<Planned<R>> | Iterable<Planned<R>>;

/** Follows the progress of a bulk command. */
export interface Follower<R> {
  planned(task: Task<R>): void;
  /** The plan is complete: nothing more will be planned. */
  allPlanned(): void;
  /** @param known the size that was reported for the task before, which `bytes` replaces */
  sized(bytes: number, known: number | undefined): void;
  moved(bytes: number): void;
  /** Resolves when more can be taken. */
  finished(task: Task<R>, outcome: Outcome<R>): Promise<void> | void;
  failed(failure: Failure): void;
}

/** A follower that counts what was reported. */
export type CountingFollower<R> = Follower<R> & { readonly totals: { readonly count: number; readonly failed: number } };

export function isFailure(planned: object): planned is Failure {
  return 'problem' in planned;
}

export function nameOf(subject: Subject): string {
  return 'key' in subject ? subject.key : subject.path;
}
