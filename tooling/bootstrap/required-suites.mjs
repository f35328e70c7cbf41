import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Test files that need a MinIO for every test. MinIO is not available everywhere, and a lack of it is no fault of the checkout. */
const onMinio = /(?:^|[/.])minio\.(?:\w+\.)?test\.ts$/;

/**
 * What a complete run must include: every existing test file, at least one in every package, and the conformance suite of every
 * backend.
 * @param {string} root
 * @param {{ minio: boolean }} options whether a MinIO is required
 * @returns {string[]} paths below the root of the checkout
 */
export function requiredSuites(root, { minio }) {
  const packages = ['packages', 'apps', 'tooling'].flatMap((folder) => foldersIn(root, folder));
  return packages.flatMap((folder) => {
    const files = testFiles(root, folder);
    if (files.length === 0 && !folder.startsWith('tooling/')) files.push(`${folder}/src/index.test.ts`);
    if (/\/backend-[^/]+$/.test(folder) && !files.some((file) => file.endsWith('.conformance.test.ts'))) {
      files.push(`${folder}/src/backend.conformance.test.ts`);
    }
    return minio ? files : files.filter((file) => !onMinio.test(file));
  });
}

/**
 * @param {string} root
 * @param {string} folder
 * @returns {string[]}
 */
function testFiles(root, folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return entry.name === 'node_modules' || entry.name === 'dist' ? [] : testFiles(root, path);
    return entry.name.endsWith('.test.ts') ? [path] : [];
  });
}

/**
 * @param {string} root
 * @param {string} folder
 */
function foldersIn(root, folder) {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder))
    .map((name) => `${folder}/${name}`)
    .filter((path) => existsSync(join(root, path, 'package.json')));
}
