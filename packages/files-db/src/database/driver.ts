import postgres from 'postgres';

// postgres.js names an error after its class, and bundlers rename classes: all of them if they minify, and otherwise one of two,
// as in an application that bundles this package together with the `postgres` that drizzle imports.
Object.defineProperty(postgres.PostgresError, 'name', { value: 'PostgresError' });

/**
 * postgres.js, mended: docs/adr/0015-postgres-js-is-patched.md. In the published package this module is a bundle of it, made by
 * scripts/bundle-driver.ts, because whoever installs the package gets `postgres` without the patch.
 */
export { postgres };
