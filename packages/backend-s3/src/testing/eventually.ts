import { expect } from 'vitest';

/** `expect(value())`, as soon as it holds, which may take a while on a machine under load. */
export const eventually = <T>(value: () => T): ReturnType<typeof expect.poll<T>> => expect.poll(value, { timeout: 20_000, interval: 20 });
