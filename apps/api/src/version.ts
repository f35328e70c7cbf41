/** Version of the API server; the build writes the package's own here. */
declare const COFFER_VERSION: string | undefined;

export const version: string = typeof COFFER_VERSION === 'string' ? COFFER_VERSION : '0.0.0';
