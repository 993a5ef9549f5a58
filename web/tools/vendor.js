/**
 * Builds vendor/: the page's few npm packages, each as one module that browsers can load, and files that come with them.
 * They are committed, so that a checkout serves its page without Node. With `--check`, only checks that they match
 * package-lock.json.
 */
import { build } from 'esbuild';
import { readFile, readdir, writeFile } from 'node:fs/promises';

const root = new URL('../', import.meta.url).pathname;
/** Files that are loaded as they are. @type {Record<string, string>} */
const FILES = {
  'segmenter.wasm': '@twilio/video-processors/dist/build/tflite-simd-1-0-0.wasm',
  'segmenter.tflite': '@twilio/video-processors/dist/build/selfie_segmentation_landscape.tflite',
};
const entries = (await readdir(`${root}tools/vendor`)).map((name) => `${root}tools/vendor/${name}`);
const { outputFiles } = await build({
  entryPoints: entries,
  outdir: `${root}vendor`,
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  legalComments: 'eof',
  external: ['fs', 'path'], // emscripten asks for them in Node only
  write: false,
});
const made = outputFiles.map(({ path, contents }) => ({ path, contents: Buffer.from(contents) }));
for (const [name, source] of Object.entries(FILES)) made.push({ path: `${root}vendor/${name}`, contents: await readFile(`${root}node_modules/${source}`) });
for (const { path, contents } of made) {
  if (!process.argv.includes('--check')) await writeFile(path, contents);
  else if (!(await readFile(path).catch(() => Buffer.alloc(0))).equals(contents)) {
    console.error(`${path.slice(root.length)} does not match package-lock.json: run npm run vendor`);
    process.exitCode = 1;
  }
}
