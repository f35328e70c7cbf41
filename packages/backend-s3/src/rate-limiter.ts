// A module of its own for the same reason as signing/default-chain.ts.
export { DefaultRateLimiter } from '@smithy/core/retry';
