/** Files that the browser saves. */
import { h } from './dom.js';

const KEPT_MS = 60_000; // by then the browser has read it

/** @param {Blob} blob @param {string} name */
export function saveFile(blob, name) {
  const href = URL.createObjectURL(blob);
  h('a', { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), KEPT_MS);
}
