/** The header of every view outside a call: logo, navigation, appearance and language. */
import { brand } from './brand.js';
import { showDisplay } from './display.js';
import { h } from './dom.js';
import { iconButton } from './fields.js';
import { t } from './words.js';

/** @param {import('./main.js').Context} context @param {...any} parts @returns {HTMLElement} */
export function top(context, ...parts) {
  return h('header', { class: 'top' }, brand(), h('div', { class: 'top-account' }, ...parts,
    iconButton('theme', t('display.title'), { 'data-action': 'display', onclick: () => void showDisplay(context.again) })));
}
