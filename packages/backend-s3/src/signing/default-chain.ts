// Loaded on demand through a module of our own: bundlers lose the named exports when a CommonJS package is imported with import().
export { defaultProvider } from '@aws-sdk/credential-provider-node';
export { NodeHttpHandler } from '@smithy/node-http-handler';
export { getProfileName, parseKnownFiles } from '@smithy/core/config';
