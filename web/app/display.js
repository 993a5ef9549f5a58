/** The dialog for appearance and language. */
import { chooseContrast, chooseTheme } from './appearance.js';
import { show } from './dialogs.js';
import { h } from './dom.js';
import { check, choice } from './fields.js';
import { preferences } from './preferences.js';
import { chooseLanguage, language, languages, t } from './words.js';

const THEMES = [['', 'display.theme-system'], ['light', 'display.theme-light'], ['dark', 'display.theme-dark']];

/** @param {() => void} again rebuilds the page in another language */
export function showDisplay(again) {
  return show((dialog) => [
    h('h2', {}, t('display.title')),
    languageField(dialog, again),
    ...themeFields(),
    h('div', { class: 'row-actions' }, h('button', { type: 'button', class: 'button primary', onclick: () => dialog.close('') }, t('action.done'))),
  ]);
}

/** @param {HTMLDialogElement} dialog closes when another language is chosen @param {() => void} again @returns {HTMLElement} */
export function languageField(dialog, again) {
  const tongue = choice(t('display.language'), 'globe', async (tag) => {
    await chooseLanguage(tag);
    dialog.close('');
    again();
  });
  tongue.select.name = 'language';
  tongue.select.append(...languages().map(({ tag, name }) => h('option', { value: tag, lang: tag }, name)));
  tongue.select.value = language();
  return tongue.element;
}

/** Controls for theme and contrast, which take effect immediately. @returns {HTMLElement[]} */
export function themeFields() {
  const { theme, contrast } = preferences();
  const group = h('fieldset', { class: 'segments' }, h('legend', {}, t('display.theme')), ...THEMES.map(([value, key]) => h('label', {},
    h('input', { type: 'radio', name: 'theme', value, checked: value === theme, onchange: () => chooseTheme(value) }), h('span', {}, t(key)))));
  return [group, check(t('display.contrast'), t('display.contrast-hint'), contrast === 'more', chooseContrast).element];
}
