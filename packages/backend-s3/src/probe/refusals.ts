import { hasCode, isStorageError } from '@coffer/storage-core';
import type { StorageError } from '@coffer/storage-core';

import { allEnded } from '../concurrency.ts';
import { wasInDoubt } from '../in-doubt.ts';
import { causeName, causeStatus, isAboutAccount, isNameless } from '../provider-error.ts';

/**
 * Asks the endpoint to do something, perhaps twice. Resolves with false if it said that it did, but did not. Where it matters, writes to
 * another key each time, since the first may have been carried out.
 */
export type Question = () => Promise<unknown>;

/** Where questions are asked. */
export interface Asked {
  /** Writes an object that no server refuses. Rejects if this one does not take even that at the moment. */
  assertWell(): Promise<unknown>;
  /** Once it has aborted, nothing more is asked. */
  readonly signal?: AbortSignal | undefined;
}

/** Whether the endpoint does what it says, or how it refuses. */
type Answer = boolean | StorageError;

/** After so many, the last answer counts even if none has come twice in a row. */
const maxAttempts = 4;

/**
 * The answer that is remembered: nothing else decides whether one tells what an endpoint is able to do. A doubtful answer counts once it
 * comes twice in a row.
 * @param options `isDispensable`: little depends on the answer, so any failure is only doubtful
 * @throws errors that only tell how things are at the moment: the next caller who needs to know tries again; the signal's reason
 */
export async function answerTo(
  asked: Asked,
  question: Question,
  { isDispensable = false }: { readonly isDispensable?: boolean } = {},
): Promise<Answer> {
  let last: Answer | undefined;
  for (let attempt = 1; ; attempt++) {
    asked.signal?.throwIfAborted();
    const answer = await ask(question);
    const isFailure = isStorageError(answer) && isOfTheMoment(answer);
    if (isFailure && !isDispensable) throw answer;
    const isRepeated = last !== undefined && spelled(answer) === spelled(last);
    if (!(isFailure || isDoubtful(answer)) || isRepeated || attempt >= maxAttempts) return answer;
    last = answer;
    // Some servers always answer like this when asked for what they cannot do. Others, or what is in front of them, answer anything like this
    // for a while.
    await asked.assertWell();
  }
}

function spelled(answer: Answer): string {
  return typeof answer === 'boolean' ? String(answer) : `${answer.code} ${causeName(answer)} ${causeStatus(answer)}`;
}

async function ask(question: Question): Promise<Answer> {
  try {
    return (await question()) !== false;
  } catch (error) {
    if (!isStorageError(error)) throw error;
    return error;
  }
}

/**
 * Also called unavailable, but no matter of the moment: an account that is full of buckets; and what was written just now, under the present
 * KMS key, is not to be decrypted, which MinIO says of a name that it takes for another one on disk.
 */
const lastingNames: ReadonlySet<string> = new Set(['TooManyBuckets', 'kms:InvalidCiphertextException']);

/** Names of answers that S3 does not give. Servers do, each time, to what they do not know. */
const foreignNames: ReadonlySet<string> = new Set(['NoS3AnswerError', 'MalformedXmlError']);

function isOfTheMoment(error: StorageError): boolean {
  const name = causeName(error);
  if (foreignNames.has(name) || lastingNames.has(name) || causeStatus(error) === 500) return false;
  return error.retryable || hasCode(error, 'storage_unavailable', 'internal_error');
}

/**
 * Whether the answer may not be the server's, or not be about the request as it was sent: proxies answer with pages, redirect, and change
 * what is signed. What a lost first attempt did may be the reason to refuse the second. If the account is refused, or the bucket is gone,
 * an ordinary write is refused as well.
 */
function isDoubtful(answer: Answer): boolean {
  if (typeof answer === 'boolean') return !answer;
  const [name, status = 0] = [causeName(answer), causeStatus(answer)];
  const isForeign = foreignNames.has(name) || isNameless(name);
  const isAboutAll = isAboutAccount(answer) || hasCode(answer, 'no_such_bucket');
  return isForeign || status === 500 || (status >= 300 && status < 400) || isAboutAll || wasInDoubt(answer);
}

/**
 * Whether the provider refuses all of these because of their conditions. Whoever is refused for another reason, such as a missing
 * permission, learns nothing about the conditions, and does not trust them. @throws as `answerTo` does
 */
export async function allRefused(asked: Asked, ...questions: readonly Question[]): Promise<boolean> {
  const answers = await allEnded(questions.map((question) => answerTo(asked, question)));
  // How servers say that a condition is not met, or that they do not support it.
  return answers.every((answer) => hasCode(answer, 'precondition_failed', 'not_supported', 'invalid_argument'));
}

/** Whether the provider does what is asked, and does not refuse it for whatever reason. @throws as `answerTo` does */
export async function isAccepted(asked: Asked, question: Question): Promise<boolean> {
  return (await answerTo(asked, question)) === true;
}
