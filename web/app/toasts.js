/** Short notices that disappear after a while. */
import { h } from './dom.js';

const SHOWN_MS = 5_000;
/** Notices with an action stay longer. */
const ACTION_MS = 12_000;
/** More would cover what people look at: the oldest makes room. */
const MOST = 2;

/**
 * @param {string} text @param {'info'|'problem'} [manner]
 * @param {{label: string, name?: string, act: () => unknown}} [action] `name` is for screen readers, if the label alone says too little
 * @returns {() => void} removes the notice
 */
export function toast(text, manner = 'info', action) {
  const list = document.getElementById('toasts');
  if (!list) return () => undefined;
  for (const same of [...list.children].filter((other) => other.firstElementChild?.textContent === text)) same.remove();
  const notice = h('div', { class: `toast toast-${manner}` }, h('p', {}, text));
  if (action) {
    notice.append(h('button', {
      type: 'button', class: 'button small primary', 'aria-label': action.name ?? action.label,
      onclick: () => {
        notice.remove();
        void action.act();
      },
    }, action.label));
  }
  list.append(notice);
  // In front of an open dialog, too: the top layer shows first what was opened last.
  if (list.showPopover) {
    list.popover = 'manual';
    if (list.matches(':popover-open')) list.hidePopover();
    list.showPopover();
  }
  while (list.children.length > MOST) list.firstElementChild?.remove();
  setTimeout(() => notice.remove(), action ? ACTION_MS : SHOWN_MS);
  return () => notice.remove();
}
