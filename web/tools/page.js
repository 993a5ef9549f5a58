/**
 * Builds the page into built/ (or the folder given as argument), a complete web root: scripts and styles are bundled, split
 * by route and language, named by a hash of their content, and compressed with Brotli and gzip. Files that other programs
 * load by name (sdk/, api-docs/) keep their names. `sources` in built/build.json is the digest of the source files.
 */
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { cp, mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const root = new URL('../', import.meta.url).pathname;
const out = process.argv[2] ?? `${root}built`;
const work = `${out}.new`;
/** The files of the digest; the server computes the same one (see __init__.py). */
const SOURCES = ['api-docs', 'app', 'index.html', 'sdk', 'service-worker.js', 'tools', 'vendor'];
/** For each path, the modules that its first screen needs besides main.js. */
const ROUTES = {
  '^/$': ['home.js'],
  '^/account/?$': ['account.js'],
  '^/admin(/[a-z]+)?/?$': ['admin.js'],
  '^/m/[^/]+/?$': ['meeting-page.js'],
  '^/m/[^/]+/recordings/?$': ['recordings.js'],
  '^/recordings/?$': ['all-recordings.js'],
  '^/recordings/[^/]+/?$': ['recording-page.js'],
  '^/s/[^/]+/?$': ['recording-page.js'],
};
const MOST_REQUESTS = 6;
const LIMIT = 60_000; // compressed bytes before the first screen of each of these routes
/** Texts that only these views say, by the first part of their keys: catalogues for first screens leave them out. */
const OF_ADMINISTRATION = ['admin', 'livekit-keys', 'setting', 'settings', 'usage'];
const OF_CALLS = ['analysis', 'bar', 'board', 'breakout', 'captions', 'chat', 'hands', 'host', 'key', 'live', 'lobby', 'notes', 'notice', 'people', 'poll', 'questions',
  'reaction', 'recording', 'seal', 'shortcut', 'statistics', 'tile', 'timer', 'view'];
/** @type {Record<string, string[]>} by the extent of a catalogue: see app/languages/index.js */
const LEFT_OUT = { first: [...OF_ADMINISTRATION, ...OF_CALLS], admin: OF_CALLS };
const COMPRESSED = /\.(js|css|svg|html|json|webmanifest|md|wasm)$/;
const LARGE = 1_000_000; // bytes; larger files are compressed less, to save time

/** Modules import each other by address, relative to this folder. */
const addresses = {
  name: 'addresses',
  setup({ onResolve }) {
    onResolve({ filter: /^\/(app|sdk|vendor)\// }, ({ path }) => ({ path: `${root}${path.slice(1)}` }));
  },
};
const common = {
  bundle: true,
  minify: true,
  target: ['es2022', 'chrome123', 'firefox120', 'safari17.5'],
  outdir: `${work}/assets`,
  legalComments: 'none',
  metafile: true,
  plugins: [addresses],
};

await rm(work, { recursive: true, force: true });
await mkdir(work, { recursive: true });

/** Replaces addresses in some scripts with those of hashed files. @param {Record<string, Record<string, string>>} scripts by source: address, replacement */
const renaming = (scripts) => ({
  name: 'renaming',
  setup({ onLoad }) {
    for (const [source, replacements] of Object.entries(scripts)) {
      onLoad({ filter: new RegExp(`/${source}$`) }, async ({ path }) => {
        let contents = await readFile(path, 'utf8');
        for (const [address, replacement] of Object.entries(replacements)) {
          if (!contents.includes(`'${address}'`)) throw new Error(`${source} does not contain ${address} in the form that the build expects`);
          contents = contents.replace(`'${address}'`, JSON.stringify(replacement));
        }
        return { contents, loader: 'js' };
      });
    }
  },
});

// Workers and the files that they load: the scripts that start them contain their addresses.
await mkdir(`${work}/assets`, { recursive: true });
const segmenter = { '/vendor/segmenter.wasm': await hashed('vendor/segmenter.wasm'), '/vendor/segmenter.tflite': await hashed('vendor/segmenter.tflite') };
/** @param {string} source @param {any[]} [plugins] @returns {Promise<string>} its address */
const worker = async (source, plugins = []) => addressOf(Object.keys((await build({
  ...common, entryPoints: [`${root}${source}`], format: 'esm', entryNames: '[name]-[hash]', external: ['fs', 'path'], plugins: [addresses, ...plugins],
})).metafile.outputs)[0]);
const namesWorkers = renaming({
  'sdk/encryption.js': { './encryption-worker.js': await worker('sdk/encryption-worker.js') },
  'app/effects-port.js': { './effects-worker.js': await worker('app/effects-worker.js', [renaming({ 'app/effects-worker.js': segmenter })]) },
});

/** Make each view import main.js and core.js: esbuild then makes one shared file, not one for each set of views. */
const scripts = (await readdir(`${root}app`)).filter((name) => name.endsWith('.js') && !name.endsWith('-worker.js'));
const texts = await Promise.all(scripts.map((name) => readFile(`${root}app/${name}`, 'utf8')));
const views = [...texts.join('\n').matchAll(/import\('\.\/(.+?)\.js'\)/g)].map(([, name]) => name);
const sharesCore = {
  name: 'core',
  setup({ onLoad }) {
    onLoad({ filter: new RegExp(`/app/(${views.join('|')})\\.js$`) }, async ({ path }) => (
      { contents: `import '/app/core.js'; import '/app/main.js'; ${await readFile(path, 'utf8')}`, loader: 'js' }
    ));
  },
};

/** Makes the reduced catalogues. */
const reducedTexts = {
  name: 'reduced-texts',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.\/.+\?(first|admin)$/ }, ({ path, resolveDir }) => ({ path: `${resolveDir}/${path.slice(2)}`, namespace: 'texts' }));
    onLoad({ filter: /./, namespace: 'texts' }, async ({ path }) => {
      const [file, extent] = path.split('?');
      const { default: catalogue } = await import(file);
      const kept = Object.entries(catalogue).filter(([key]) => !LEFT_OUT[extent].includes(key.split('.')[0]));
      return { contents: `export default ${JSON.stringify(Object.fromEntries(kept))};`, loader: 'js' };
    });
  },
};
await checkTexts(['main.js'], 'first', ['admin.js', 'call.js']);
await checkTexts(['admin.js'], 'admin', ['main.js', 'core.js']);

const app = await build({
  ...common,
  entryPoints: [`${root}app/main.js`],
  format: 'esm',
  splitting: true,
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  plugins: [addresses, namesWorkers, sharesCore, reducedTexts],
});
const styles = await build({ ...common, entryPoints: [`${root}app/css/main.css`], entryNames: '[name]-[hash]' });
const outputs = Object.entries(app.metafile.outputs);

/** @param {string} source below web/ @returns {string} the output file with this entry point */
function outputOf(source) {
  const found = outputs.find(([, { entryPoint }]) => entryPoint?.endsWith(source));
  if (!found) throw new Error(`${source} has no output`);
  return found[0];
}

/** The files that a module needs to run: itself and its static imports. @param {string} output */
function needs(output, found = new Set()) {
  if (found.has(output)) return found;
  found.add(output);
  for (const { path, kind } of app.metafile.outputs[output].imports) if (kind === 'import-statement') needs(path, found);
  return found;
}

const languages = Object.fromEntries((await readdir(`${root}app/languages`)).filter((name) => name !== 'index.js')
  .map((name) => [name.slice(0, -3), { first: addressOf(outputOf(`app/languages/${name}?first`)), admin: addressOf(outputOf(`app/languages/${name}?admin`)) }]));
// Only an import of that file is left of main.js: the page loads the file directly.
const stub = outputOf('app/main.js');
const [entry] = app.metafile.outputs[stub].imports.filter(({ kind }) => kind === 'import-statement').map(({ path }) => path)
  .sort((a, b) => app.metafile.outputs[b].bytes - app.metafile.outputs[a].bytes);
if (Object.keys(app.metafile.outputs[stub].inputs).length > 0) throw new Error('main.js is not shared by all views, as the build expects');
const main = needs(entry);
const routes = Object.fromEntries(Object.entries(ROUTES).map(([path, sources]) => {
  const all = new Set(sources.flatMap((source) => [...needs(outputOf(`app/${source}`))]));
  return [path, [...all].filter((output) => !main.has(output)).map(addressOf)];
}));
const preloads = { languages, main: [...main].filter((output) => output !== entry).map(addressOf), routes };
const boot = await build({
  ...common,
  entryPoints: [`${root}app/boot.js`],
  format: 'iife',
  entryNames: '[name]-[hash]',
  define: { PRELOADS: JSON.stringify(preloads) },
});

const icon = await hashed('app/icon.svg');
const offline = await readFile(`${root}service-worker.js`, 'utf8');
const cached = /const SHELL = \[PAGE, (.+?)\];/.exec(offline)?.[1].match(/[^',\s]+/g) ?? [];
const version = createHash('sha256');
for (const path of ['/app/install/offline.html', ...cached]) version.update(await readFile(`${root}${path.slice(1)}`));
const VERSION = "const VERSION = 'sources';";
if (cached.length === 0 || !offline.includes(VERSION)) throw new Error('service-worker.js does not have the form that the build expects');
await writeFile(`${work}/service-worker.js`, offline.replace(VERSION, `const VERSION = '${version.digest('hex').slice(0, 12)}';`));
await Promise.all(['sdk', 'api-docs', 'app'].map((name) => cp(`${root}${name}`, `${work}/${name}`, { recursive: true })));
const first = (/** @type {{metafile: {outputs: object}}} */ made) => addressOf(Object.keys(made.metafile.outputs).filter((name) => !name.endsWith('.map'))[0]);
await writeFile(`${work}/index.html`, (await readFile(`${root}index.html`, 'utf8'))
  .replace('/app/boot.js', first(boot)).replace('/app/css/main.css', first(styles))
  .replace('/app/main.js', addressOf(entry)).replaceAll('/app/icon.svg', icon)
  .replace(/\n\s+/g, '\n'));

const made = {};
for (const path of await files(work)) {
  if (!COMPRESSED.test(path)) continue;
  const bytes = await readFile(`${work}/${path}`);
  const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: bytes.length > LARGE ? 9 : 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } });
  if (brotli.length < bytes.length) {
    await writeFile(`${work}/${path}.br`, brotli);
    await writeFile(`${work}/${path}.gz`, gzipSync(bytes, { level: 9 }));
  }
  made[`/${path}`] = Math.min(brotli.length, bytes.length);
}
await writeFile(`${work}/build.json`, `${JSON.stringify({ sources: await digest() }, null, 1)}\n`);
await rm(out, { recursive: true, force: true });
await rename(work, out);

const always = ['/index.html', first(boot), first(styles), ...[...main].map(addressOf)];
for (const [path, modules] of Object.entries(routes)) {
  const parts = [...always, ...modules];
  const words = Object.values(languages).map((reduced) => made[path.startsWith('^/admin') ? reduced.admin : reduced.first]);
  const bytes = parts.reduce((sum, part) => sum + made[part], Math.max(...words));
  console.log(`${path.padEnd(26)} ${parts.length + 1} requests, ${(bytes / 1000).toFixed(1)} KB compressed`);
  if (bytes > LIMIT || parts.length + 1 > MOST_REQUESTS) {
    console.error(`That is more than ${LIMIT / 1000} KB or ${MOST_REQUESTS} requests before the first screen: see app/core.js.`);
    process.exitCode = 1;
  }
}

/**
 * Check that views, and all that they import, say no text that their catalogue leaves out.
 * @param {string[]} from @param {string} extent of the catalogue @param {string[]} others which have another one
 */
async function checkTexts(from, extent, others) {
  const seen = new Set(from);
  const missing = new RegExp(`['\`]((?:${LEFT_OUT[extent].join('|')})\\.[\\w$.-]+)`);
  for (const name of seen) {
    const text = await readFile(`${root}app/${name}`, 'utf8');
    const [, key] = missing.exec(text) ?? [];
    if (key) throw new Error(`${name} says ${key}, which its catalogue leaves out: see LEFT_OUT`);
    for (const [, next] of text.matchAll(/(?:from|import) ?\(?'\.\/([^'/]+\.js)'/g)) if (!others.includes(next)) seen.add(next);
  }
}

/** @param {string} output a path relative to the working folder @returns {string} its address */
function addressOf(output) {
  return output.slice(output.indexOf('/assets/', output.indexOf('.new')));
}

/** @param {string} source @returns {Promise<string>} the address of its copy, which can be cached forever */
async function hashed(source) {
  const bytes = await readFile(`${root}${source}`);
  const [, name, suffix] = /([^/]+)\.(\w+)$/.exec(source) ?? [];
  const path = `/assets/${name}-${createHash('sha256').update(bytes).digest('hex').slice(0, 8)}.${suffix}`;
  await writeFile(`${work}${path}`, bytes);
  return path;
}

/** @param {string} folder @returns {Promise<string[]>} the files below it, by path */
async function files(folder) {
  const all = await readdir(folder, { recursive: true, withFileTypes: true });
  return all.filter((one) => one.isFile()).map((one) => `${one.parentPath}/${one.name}`.slice(folder.length + 1)).sort();
}

/** The digest of the sources, computed as in __init__.py. */
async function digest() {
  const hash = createHash('sha256');
  const paths = (await files(root.slice(0, -1))).filter((path) => SOURCES.includes(path.split('/')[0]) && !path.includes('__pycache__'));
  for (const path of paths.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))) {
    hash.update(`${path}\n`).update(createHash('sha256').update(await readFile(`${root}${path}`)).digest('hex')).update('\n');
  }
  return hash.digest('hex');
}
