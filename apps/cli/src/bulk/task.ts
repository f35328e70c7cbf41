import type { Problem } from '../problem.ts';

/** What a failure is named by: an object or a local file. */
export type Subject = { readonly key: string } | { readonly path: string };

export interface Failure {
  readonly subject: Subject;
  readonly problem: Problem;
}

/** What came of a task, or of a part of one. */
export interface Outcome<R> {
  readonly done: readonly R[];
  /** Nothing had to be done. */
  readonly skipped?: number;
  readonly failed?: readonly Failure[];
}

/** While a task runs. */
export interface Running {
  readonly signal: AbortSignal;
  /** Tells how many bytes will pass, once that is known. */
  sized(bytes: number): void;
  /** Tells of bytes that have passed. */
  moved(bytes: number): void;
  /** Tells that another attempt has less left to do than any before had: it counts as a first one. */
  advanced(): void;
  /** Whether nothing else runs although more might: what runs alone may take more of the machine. */
  isAlone(): boolean;
}

/** One thing that a bulk command will do. Planning one costs nothing; running it again after a failure is harmless. */
export interface Task<R> {
  readonly subject: Subject;
  /** How many objects or files it is about. Default 1. */
  readonly count?: number;
  /** Bytes that will pass, where that is known before it runs. */
  readonly bytes?: number;
  /** Whether `run` may be called just once: what it reads is gone then. */
  readonly isOnce?: boolean;
  /** What would be done, for a dry run; nothing where it would be skipped. */
  preview(): readonly R[] | Promise<readonly R[]>;
  run(running: Running): Promise<Outcome<R>>;
  /** Called once it will not be run again, after a failure: cleans up what `run` left to go on from. */
  abandon?(): Promise<void>;
}

/** Plans are sequences of these: what will be done, and what cannot be. */
export type Planned<R> = Task<R> | Failure;

/** What follows a bulk command as it goes on. */
export interface Follower<R> {
  planned(task: Task<R>): void;
  /** The plan is complete: nothing more will be planned. */
  allPlanned(): void;
  /** @param known what a task was said to have before, and `bytes` takes the place of */
  sized(bytes: number, known: number | undefined): void;
  moved(bytes: number): void;
  /** Resolves when more can be taken. */
  finished(task: Task<R>, outcome: Outcome<R>): Promise<void> | void;
  failed(failure: Failure): void;
}

/** One that says how much has been told of. */
export type CountingFollower<R> = Follower<R> & { readonly totals: { readonly count: number; readonly failed: number } };

export function isFailure<R>(planned: Planned<R>): planned is Failure {
  return 'problem' in planned;
}

export function nameOf(subject: Subject): string {
  return 'key' in subject ? subject.key : subject.path;
}
