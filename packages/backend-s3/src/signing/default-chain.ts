// What is loaded on demand is loaded through a module of ours: bundlers give an import() of a CommonJS package no names.
export { defaultProvider } from '@aws-sdk/credential-provider-node';
export { NodeHttpHandler } from '@smithy/node-http-handler';
