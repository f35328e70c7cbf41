export { describeBackend } from './describe-backend.ts';
export type { Abilities, BackendOptions, StartedBackend, TestRunner } from './harness.ts';
