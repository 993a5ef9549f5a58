/**
 * Texts of the page in the user's language. The catalogues in languages/ hold every text (ICU messages, one file per
 * language); code refers to them by key. index.html lists the languages.
 */
import { IntlMessageFormat } from '/vendor/messages.js';
import { CATALOGUES } from './languages/index.js';
import { remember } from './preferences.js';

/** @type {Record<string, string>} */
let catalogue = {};
/** @typedef {'first'|'admin'|'whole'} Extent of a catalogue: see languages/index.js */

/** @type {Extent} */
let loaded = 'first';
/** @type {Map<string, IntlMessageFormat>} */
const formats = new Map();

/** @returns {string} the tag (BCP 47) of the language shown */
export function language() {
  return document.documentElement.lang || 'en';
}

/** @returns {{tag: string, name: string}[]} the available languages, each with its native name */
export function languages() {
  const offered = document.querySelector('meta[name=languages]')?.getAttribute('content') ?? '';
  return offered.split(',').map((one) => {
    const [tag, name] = one.trim().split('=');
    return { tag, name };
  });
}

/** Load the catalogue of the language that boot.js or the user chose. @param {Extent} [extent] */
export async function loadWords(extent = loaded) {
  catalogue = (await CATALOGUES[language()][extent]()).default;
  loaded = extent;
  formats.clear();
}

/** Load more of the texts, unless they are loaded. @param {'admin'|'whole'} extent */
export async function loadMoreWords(extent) {
  if (loaded === 'first' || loaded !== extent && extent === 'whole') await loadWords(extent);
}

/** Switch to another language; views that are already shown keep theirs until they are rebuilt. @param {string} tag */
export async function chooseLanguage(tag) {
  document.documentElement.lang = tag;
  remember({ language: tag });
  await loadWords();
}

/** @param {string} key @returns {boolean} true if the catalogue has the message */
export function known(key) {
  return key in catalogue;
}

/** @param {string} key in the catalogues @param {Record<string, string|number|Date>} [values] @returns {string} */
export function t(key, values) {
  const text = catalogue[key];
  if (text === undefined) return key;
  return text.includes('{') ? String(formatOf(key, text).format(values)) : text;
}

/**
 * A message that contains elements, for `h`. @param {string} key
 * @param {Record<string, any>} values an element replaces its placeholder; a function turns the text in <name>…</name> into one
 * @returns {(Node|string)[]}
 */
export function rich(key, values) {
  // Each element is a number between NULs until the message is assembled.
  /** @type {Node[]} */
  const nodes = [];
  const marked = Object.fromEntries(Object.entries(values).map(([name, value]) => {
    /** @param {Node} node */
    const mark = (node) => `\u0000${nodes.push(node) - 1}\u0000`;
    if (value instanceof Node) return [name, mark(value)];
    return [name, typeof value === 'function' ? (/** @type {string[]} */ parts) => mark(value(parts.join(''))) : value];
  }));
  const whole = formatOf(key, catalogue[key] ?? key).format(marked);
  return String(Array.isArray(whole) ? whole.join('') : whole).split('\u0000').map((part, index) => (index % 2 === 1 ? nodes[Number(part)] : part));
}

/** @param {string} key @param {string} text @returns {IntlMessageFormat} */
function formatOf(key, text) {
  let format = formats.get(key);
  if (!format) {
    format = new IntlMessageFormat(text, language());
    formats.set(key, format);
  }
  return format;
}
