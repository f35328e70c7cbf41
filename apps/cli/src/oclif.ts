// The part of oclif that commands need. The build makes one file of it.
export * as Args from '@oclif/core/args';
export { Command } from '@oclif/core/command';
export { Config } from '@oclif/core/config';
export * as Flags from '@oclif/core/flags';
export type { Logger } from '@oclif/core/interfaces';
export { setLogger } from '@oclif/core/logger';
export { run } from '@oclif/core/run';
