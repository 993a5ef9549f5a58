/** Copies links and keys to the clipboard. */
import { h } from './dom.js';
import { field } from './fields.js';
import { toast } from './toasts.js';
import { t } from './words.js';

/** Copy a link as an absolute URL; show it if the browser refuses. @param {string} path a path on this server, or a complete URL */
export function copyLink(path) {
  return copyText(new URL(path, location.href).href, t('copied.link'));
}

/** Copy a text and confirm it; show the text if the browser refuses. @param {string} text @param {string} done */
export async function copyText(text, done) {
  try {
    await navigator.clipboard.writeText(text);
    toast(done);
  } catch {
    toast(text);
  }
}

/** A text to copy, shown once. @param {string} label @param {string} value @param {string} [hint] */
export function shownSecret(label, value, hint) {
  const shown = field(label, { value, readonly: true });
  const copy = h('button', { type: 'button', class: 'button', onclick: () => void copyText(value, t('copied.other', { what: label })) }, t('action.copy'));
  return h('div', { class: 'shown-secret' }, shown.element, copy, hint && h('p', { class: 'hint' }, hint));
}
