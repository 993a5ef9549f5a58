/** The sheet of a call's keyboard shortcuts, where they are turned off or get a modifier. Loaded when it is first opened. */
import { show } from './dialogs.js';
import { h } from './dom.js';
import { check } from './fields.js';
import { preferences, remember } from './preferences.js';
import { SHORTCUTS, keyName } from './shortcuts.js';
import { t } from './words.js';

export function showShortcuts() {
  const { shortcuts, shortcutsModifier, pushToTalk } = preferences();
  const keys = h('dl', { class: 'shortcuts' });
  const list = () => keys.replaceChildren(...SHORTCUTS.flatMap(({ key, action }) => [
    h('dt', {}, h('kbd', {}, keyName(key))), h('dd', {}, t(`shortcut.${action}`)),
  ]));
  list();
  return show((dialog) => [
    h('h2', {}, t('shortcut.title')),
    check(t('shortcut.letters'), t('shortcut.letters-hint'), shortcuts, (on) => remember({ shortcuts: on })).element,
    check(t('shortcut.modifier', { modifier: keyName('modifier') }), t('shortcut.modifier-hint'), shortcutsModifier, (on) => {
      remember({ shortcutsModifier: on });
      list();
    }).element,
    check(t('shortcut.push-to-talk'), t('shortcut.push-to-talk-hint'), pushToTalk, (on) => remember({ pushToTalk: on })).element,
    keys,
    h('div', { class: 'row-actions' }, h('button', { type: 'button', class: 'button', onclick: () => dialog.close('') }, t('action.close'))),
  ]);
}
