import { connect } from '../connection.ts';
import { leanDoor } from '../lean-door.ts';
import { settingsOf } from '../options.ts';
import type { S3BackendOptions } from '../options.ts';
import type { Transport } from '../transport.ts';
import { scripted } from './scripted.ts';
import type { Answer, Scripted } from './scripted.ts';

/** Scripted servers, and lean transports that speak to them. */
export interface Stage {
  serve(...answers: readonly Answer[]): Promise<Scripted>;
  transportTo(server: Scripted, options?: S3BackendOptions): Transport;
  /** Whatever else is to be closed at the end. */
  readonly open: (() => unknown)[];
  clear(): Promise<void>;
}

export function newStage(): Stage {
  const open: (() => unknown)[] = [];
  return {
    open,
    async serve(...answers) {
      const server = await scripted(...answers);
      open.push(() => server.close());
      return server;
    },
    transportTo({ endpoint }, options = {}) {
      const settings = settingsOf({ endpoint, accessKey: 'who', secretKey: 'secret', timeout: 20, ...options });
      const connection = connect(settings);
      open.push(() => connection.close());
      return leanDoor(settings, connection).transport;
    },
    async clear() {
      for (const close of open.splice(0)) await close();
    },
  };
}
