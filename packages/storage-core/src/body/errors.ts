import { storageError } from '../errors.ts';

/** Reading the body again would silently give an empty object. */
export function alreadyReadError(): Error {
  return storageError('invalid_argument', 'The body stream has been read already.');
}

export function alreadyClosedError(): Error {
  return storageError('invalid_argument', 'The body stream has been closed already.');
}

export function beingReadError(): Error {
  return storageError('invalid_argument', 'The body stream is being read by somebody else.');
}

export function goneError(): Error {
  return storageError('invalid_argument', 'The bytes of the body are gone: their memory was transferred elsewhere, or shrunk.');
}

export function notBytesError(): Error {
  return storageError('invalid_argument', 'A body stream must yield bytes.');
}

export function listenersRemovedError(): Error {
  return storageError('invalid_argument', 'The listeners that read the body stream have been removed.');
}

/** The error of a stream that was closed and gave no other, as node:stream reports it. */
export function prematureCloseError(): Error {
  return Object.assign(new Error('The stream was closed before its end.'), { code: 'ERR_STREAM_PREMATURE_CLOSE' });
}
