import { pino } from 'pino';
import type { Logger } from 'pino';

import { LogDestination } from './log-destination.ts';

/** JSON lines on stdout; on a terminal the same lines in a readable form. */
export async function createLogger(level: string): Promise<Logger> {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: ['authorization', 'headers.authorization', 'headers.cookie', '*.authorization', '*.password', '*.secret', '*.token'],
  };
  if (!process.stdout.isTTY) return pino(options, new LogDestination(1));
  const { default: pretty } = await import('pino-pretty');
  return pino(options, pretty({ sync: true, translateTime: 'SYS:HH:MM:ss', ignore: 'request_id', singleLine: true }));
}
