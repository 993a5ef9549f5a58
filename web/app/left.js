/** After a call: what ended it, and the way back. */
import { brand } from './brand.js';
import { h } from './dom.js';

/** @type {Record<string, string[]>} */
const WORDS = {
  left: ['You left the meeting', ''],
  ended: ['The meeting has ended', 'Its host ended it for everybody.'],
  removed: ['You were removed', 'A host removed you from the meeting.'],
  banned: ['You were removed', 'A host removed you from the meeting. You cannot rejoin.'],
  consent_required: ['You left the meeting', 'It requires consent to being recorded, which you did not give.'],
  replaced: ['You joined somewhere else', 'This meeting is open in another tab or on another device.'],
};
const LOST = ['The connection was lost', 'The server did not accept the reconnection.'];
const FOR_GOOD = new Set(['ended', 'removed', 'banned']);

/**
 * @param {HTMLElement} page
 * @param {{meeting: any, code: string, reason?: string, again: (() => void)|null}} options
 */
export function showLeft(page, { meeting, code, reason = '', again }) {
  const [title, text] = WORDS[code] ?? LOST;
  const rejoin = again && !FOR_GOOD.has(code);
  page.replaceChildren(
    h('main', { class: 'centred' },
      brand(),
      h('div', { class: 'card notice left', 'data-code': code },
        h('h1', {}, title),
        h('p', { class: 'lead' }, meeting.title),
        (text || reason) && h('p', {}, WORDS[code] ? text : reason || text),
        h('div', { class: 'row-actions' },
          rejoin && h('button', { class: 'button primary', type: 'button', id: 'rejoin', onclick: again }, 'Rejoin'),
          h('a', { class: 'button', href: '/' }, 'Go to the home page')))),
  );
  /** @type {HTMLElement|null} */ (page.querySelector('button, a.button'))?.focus();
}
