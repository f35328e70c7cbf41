/** The version of the API server, which the build inserts from the package. */
declare const COFFER_VERSION: string | undefined;

export const version: string = typeof COFFER_VERSION === 'string' ? COFFER_VERSION : '0.0.0';
