/**
 * Checks the catalogues of app/languages: all have the same keys and placeholders, the page uses each key, and each key
 * that it uses exists. English shows the server's own error messages; every other language has a text for each error code
 * that control raises.
 */
import { readFile, readdir } from 'node:fs/promises';
import { parse } from '@formatjs/icu-messageformat-parser';

const root = new URL('../', import.meta.url).pathname;
const REFUSAL = /^error\.(?!network$|other$)/;
const complaints = [];

/** @param {any[]} nodes of a message @returns {string[]} the names of its arguments and tags */
function names(nodes) {
  return nodes.flatMap((node) => {
    if (node.type === 0 || node.type === 7) return []; // text, and # of a plural
    const inner = node.options ? Object.values(node.options).flatMap((/** @type {any} */ option) => names(option.value)) : names(node.children ?? []);
    return [node.value, ...inner];
  });
}

/** @param {string} text */
function placeholders(text) {
  return [...new Set(names(parse(text)))].sort().join(' ');
}

const tags = (await readdir(`${root}app/languages`)).filter((name) => name !== 'index.js').map((name) => name.slice(0, -3));
const catalogues = Object.fromEntries(await Promise.all(tags.map(async (tag) => [tag, (await import(`${root}app/languages/${tag}.js`)).default])));
const { en, ...others } = catalogues;
for (const [tag, catalogue] of Object.entries(others)) {
  for (const key of Object.keys(en)) {
    if (!(key in catalogue)) complaints.push(`${tag} lacks ${key}`);
    else if (placeholders(en[key]) !== placeholders(catalogue[key])) complaints.push(`${tag} has different placeholders in ${key}`);
  }
  for (const key of Object.keys(catalogue)) if (!(key in en) && !REFUSAL.test(key)) complaints.push(`${tag} has ${key}, which English lacks`);
}

const files = (await readdir(`${root}app`)).filter((name) => name.endsWith('.js'));
const scripts = (await Promise.all(files.map((name) => readFile(`${root}app/${name}`, 'utf8')))).join('\n');
const literal = new Set([...scripts.matchAll(/'([a-z0-9-]+\.[A-Za-z0-9_.-]+)'/g)].map(([, key]) => key));
const made = [...scripts.matchAll(/`([a-z0-9-]+\.[a-z0-9-]*)\$\{/g)].map(([, prefix]) => prefix);
for (const key of Object.keys(en)) {
  if (!literal.has(key) && !made.some((prefix) => key.startsWith(prefix))) complaints.push(`nothing says ${key}`);
}
for (const [, key] of scripts.matchAll(/\b(?:t|rich|known)\('([^']+)'/g)) if (!(key in en)) complaints.push(`the catalogues lack ${key}`);

const control = (await readdir(`${root}../control`, { recursive: true })).filter((name) => name.endsWith('.py'));
const python = (await Promise.all(control.map((name) => readFile(`${root}../control/${name}`, 'utf8')))).join('\n');
const codes = new Set([...python.matchAll(/Problem\(\s*\d+,\s*"(\w+)"/g)].map(([, code]) => code));
if (codes.size < 50) complaints.push('the codes of control were not found');
for (const code of codes) {
  for (const [tag, catalogue] of Object.entries(others)) if (!(`error.${code}` in catalogue)) complaints.push(`${tag} lacks error.${code}`);
}

for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exitCode = 1;
