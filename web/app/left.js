/** The view after a call: the reason that it ended, and a button to rejoin. */
import { brand } from './brand.js';
import { h } from './dom.js';
import { refusal } from './format.js';
import { t } from './words.js';

/** Reasons that have a text; any other reason is shown as a lost connection. */
const KNOWN = new Set(['left', 'ended', 'removed', 'banned', 'consent_required', 'replaced']);
const FOR_GOOD = new Set(['ended', 'removed', 'banned']);

/**
 * @param {HTMLElement} page
 * @param {{meeting: any, code: string, reason?: string, again: (() => void)|null}} options
 */
export function showLeft(page, { meeting, code, reason = '', again }) {
  const known = KNOWN.has(code) ? code : 'lost';
  const text = known === 'left' ? '' : t(`left.${known}-text`);
  const rejoin = again && !FOR_GOOD.has(code);
  page.replaceChildren(
    h('main', { class: 'centred' },
      brand(),
      h('div', { class: 'card notice left', 'data-code': code },
        h('h1', {}, t(`left.${known}`)),
        h('p', { class: 'lead' }, meeting.title),
        (text || reason) && h('p', {}, known === 'lost' && reason ? refusal(code, reason) : text),
        h('div', { class: 'row-actions' },
          rejoin && h('button', { class: 'button primary', type: 'button', id: 'rejoin', onclick: again }, t('left.rejoin')),
          h('a', { class: 'button elsewhere', href: '/' }, t('problem.home'))))),
  );
  /** @type {HTMLElement|null} */ (page.querySelector('button, a.button'))?.focus();
}
