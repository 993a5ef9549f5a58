/**
 * Builds vendor/: the page's few npm packages, each as one module that browsers can load. They are committed, so that a
 * checkout serves its page without Node. With `--check`, only checks that they match package-lock.json.
 */
import { build } from 'esbuild';
import { readFile, readdir, writeFile } from 'node:fs/promises';

const root = new URL('../', import.meta.url).pathname;
const entries = (await readdir(`${root}tools/vendor`)).map((name) => `${root}tools/vendor/${name}`);
const { outputFiles } = await build({
  entryPoints: entries,
  outdir: `${root}vendor`,
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  legalComments: 'eof',
  write: false,
});
for (const { path, text } of outputFiles) {
  if (!process.argv.includes('--check')) await writeFile(path, text);
  else if ((await readFile(path, 'utf8').catch(() => '')) !== text) {
    console.error(`${path.slice(root.length)} does not match package-lock.json: run npm run vendor`);
    process.exitCode = 1;
  }
}
