/** Short notices that disappear after a while. */
import { h } from './dom.js';

const SHOWN_MS = 5_000;

/** @param {string} text @param {'info'|'problem'} [manner] */
export function toast(text, manner = 'info') {
  const list = document.getElementById('toasts');
  if (!list) return;
  for (const same of [...list.children].filter((other) => other.textContent === text)) same.remove();
  const notice = h('p', { class: `toast toast-${manner}` }, text);
  list.append(notice);
  setTimeout(() => notice.remove(), SHOWN_MS);
}
