// The part of oclif that commands need. The build bundles it into one file.
export * as Args from '@oclif/core/args';
export { Command } from '@oclif/core/command';
export { Config } from '@oclif/core/config';
export * as Flags from '@oclif/core/flags';
export type { Logger } from '@oclif/core/interfaces';
export { setLogger } from '@oclif/core/logger';
export { run } from '@oclif/core/run';
