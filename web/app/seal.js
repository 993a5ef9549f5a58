/** The badge of an end-to-end encrypted call, with a code to compare by voice. */
import { show } from './dialogs.js';
import { h, setText } from './dom.js';
import { icon } from './icons.js';
import { t } from './words.js';

/** @param {Promise<string>} code @returns {HTMLElement} */
export function seal(code) {
  const digits = h('span', { class: 'seal-code' });
  const button = h('button', { type: 'button', class: 'seal', onclick: () => void explain(code) }, icon('lock'), h('span', { class: 'seal-word' }, t('seal.badge')), digits);
  void code.then((known) => setText(digits, known)).catch(() => undefined);
  return button;
}

/** @param {Promise<string>} code */
async function explain(code) {
  const known = await code.catch(() => '');
  await show((dialog) => [
    h('h2', {}, t('seal.title')),
    h('p', {}, t('seal.text')),
    h('p', { class: 'seal-large' }, known),
    h('p', { class: 'hint' }, t('seal.hint')),
    h('div', { class: 'row-actions' }, h('button', { type: 'button', class: 'button primary', onclick: () => dialog.close('') }, t('action.done'))),
  ]);
}
