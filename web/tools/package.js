/**
 * Builds the package @parley/sdk from sdk/: the unchanged modules, and types from their JSDoc. Checks the size of what a page
 * loads. `node tools/package.js [FOLDER]` writes the package into a folder (by default ../build/sdk) and packs it there.
 */
import { build } from 'esbuild';
import { execFileSync } from 'node:child_process';
import { cp, mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';

const root = new URL('../', import.meta.url).pathname;
const out = process.argv[2] ?? `${root}../build/sdk`;
const LIMIT = 18 * 1024; // bytes of the whole SDK, minified and compressed
const REACT_LIMIT = 2_000; // bytes of its hooks

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
for (const name of await readdir(`${root}sdk`)) await cp(`${root}sdk/${name}`, `${out}/${name}`, { recursive: true });
await cp(`${root}../LICENSE`, `${out}/LICENSE`);
const sources = ['parley.js', 'react.js', 'embed.js', 'webhooks.js'].map((name) => `${root}sdk/${name}`);
execFileSync(process.execPath, [
  `${root}node_modules/typescript/bin/tsc`, ...sources, '--allowJs', '--declaration', '--emitDeclarationOnly', '--strict',
  '--target', 'ES2022', '--module', 'ES2022', '--moduleResolution', 'bundler', '--lib', 'ES2023,DOM,DOM.Iterable,DOM.AsyncIterable',
  '--skipLibCheck', '--rootDir', `${root}sdk`, '--outDir', `${out}/types`,
], { stdio: 'inherit' });
const bytes = await measure('parley.js', LIMIT);
const hooks = await measure('react.js', REACT_LIMIT);
const { version } = JSON.parse(await readFile(`${out}/package.json`, 'utf8'));
execFileSync('npm', ['pack', '--silent'], { cwd: out, stdio: ['ignore', 'ignore', 'inherit'] });
console.log(`@parley/sdk ${version}: ${bytes} bytes compressed of at most ${LIMIT}, hooks ${hooks} of ${REACT_LIMIT}`);

/** Return the size of a module with all that it imports, minified and compressed; throws an error if it exceeds the limit. */
async function measure(name, limit) {
  const { outputFiles } = await build({
    entryPoints: [`${out}/${name}`], bundle: true, minify: true, format: 'esm', write: false, legalComments: 'none', external: ['react'],
  });
  const size = gzipSync(outputFiles[0].contents).length;
  if (size > limit) throw new Error(`${name} has ${size} bytes compressed, more than ${limit}`);
  return size;
}
