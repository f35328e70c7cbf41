/** Options of `T` as a caller gives them: any of them may be left out or undefined. */
export type Given<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** `T`, with keys that could hold undefined made optional instead. */
export type Defined<T> = { readonly [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  readonly [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** `value` without the keys that hold undefined, as `exactOptionalPropertyTypes` requires. */
export function defined<T extends object>(value: T): Defined<T> {
  const result: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const property = (value as Readonly<Record<string, unknown>>)[key];
    if (property !== undefined) result[key] = property;
  }
  return result as Defined<T>;
}
