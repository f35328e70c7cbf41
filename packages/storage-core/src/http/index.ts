export { isAllowedOrigin } from './allowed-origin.ts';
export { contentDisposition, runsInBrowser } from './content-disposition.ts';
export { parseRange, readConditionsOf } from './request-conditions.ts';
export { objectHeaders, sendObject, sendObjectHead } from './send-object.ts';
export type { SendOptions } from './send-object.ts';
