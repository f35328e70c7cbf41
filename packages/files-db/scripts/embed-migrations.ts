// Writes src/database/migrations.ts from drizzle/*.sql. Run it after `drizzle-kit generate`, and after every change by hand.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const folder = new URL('../drizzle/', import.meta.url);
const entries = readdirSync(folder)
  .filter((name) => name.endsWith('.sql'))
  .toSorted()
  .map((name) => {
    const text = readFileSync(new URL(name, folder), 'utf8');
    const literal = text.replaceAll('\\', '\\\\').replaceAll('`', '\\`').replaceAll('${', '\\${');
    return `  {\n    name: '${name.replace(/\.sql$/, '')}',\n    sql: \`${literal}\`,\n  },\n`;
  });

writeFileSync(
  new URL('../src/database/migrations.ts', import.meta.url),
  `/** drizzle/*.sql, as a module: an application bundled into one file has no folder to read. Made by scripts/embed-migrations.ts. */
export const migrations: readonly { readonly name: string; readonly sql: string }[] = [
${entries.join('')}];
`,
);
