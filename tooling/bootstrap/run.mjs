// Entry of `npm start`, `npm test` and `npm run check`. It needs only the Node that npm itself runs on. This file uses only syntax
// that Nodes far older than 18 can parse, and loads the rest once the version is known.
const version = process.versions.node;

if (Number(version.split('.')[0]) < 18) {
  console.error('Coffer needs Node 18 or newer to prepare itself, and this is Node ' + version + '. Install a newer Node and try again.');
  process.exitCode = 1;
} else {
  void import('./main.mjs').then((bootstrap) => bootstrap.main(process.argv.slice(2)));
}
