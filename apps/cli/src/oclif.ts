// The part of oclif that commands need. The build makes one file of it.
import * as args from '@oclif/core/args';
import * as flags from '@oclif/core/flags';

export { Command } from '@oclif/core/command';
export { Config } from '@oclif/core/config';
export type { Logger } from '@oclif/core/interfaces';
export { run } from '@oclif/core/run';

// Node finds `export * as` in no CommonJS file.
export const Args = args;
export const Flags = flags;
