export { contentDisposition, runsInBrowser } from '../content-disposition.ts';
export { isAllowedOrigin } from './allowed-origin.ts';
export { answerPreflight, setCorsHeaders } from './cors.ts';
export { declaredChecksums } from './declared-checksums.ts';
export type { DeclaredChecksums } from './declared-checksums.ts';
export { multipartBoundary, MultipartParser } from './multipart.ts';
export type { MultipartHandler } from './multipart.ts';
export { baseName, fieldText, malformedForm } from './part-head.ts';
export type { PartHead } from './part-head.ts';
export { problemHeaders, problemOf, sendProblem, statusByCode, toStorageError, validationFailed } from './problem.ts';
export type { Problem } from './problem.ts';
export {
  assertPlainBody,
  contentLength,
  lingerAtEnd,
  lingerOver,
  payloadTooLarge,
  readBody,
  requestBody,
  smallBodyBytes,
} from './request-body.ts';
export { parseRange, readConditionsOf, writeConditionsOf } from './request-conditions.ts';
export { objectHeaders, sendObject, sendObjectHead } from './send-object.ts';
export type { SendOptions } from './send-object.ts';
