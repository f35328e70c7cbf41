/**
 * postgres.js, mended: docs/adr/0015-postgres-js-is-patched.md. In the published package this module is a bundle of it, made by
 * scripts/bundle-driver.ts, because whoever installs the package gets `postgres` without the patch.
 */
export { default as postgres } from 'postgres';
