// Apart, as default-chain.ts is, and for the same reason.
export { DefaultRateLimiter } from '@smithy/core/retry';
