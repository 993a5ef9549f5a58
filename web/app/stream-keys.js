/** Stream keys of a meeting, for encoders (WHIP) and players (WHEP): hosts create, copy and delete them. */
import { shownSecret } from './copy-link.js';
import { show } from './dialogs.js';
import { h } from './dom.js';
import { choice, field, form } from './fields.js';
import { dateTime, sentenceOf } from './format.js';
import { rest } from './session.js';
import { toast } from './toasts.js';
import { t } from './words.js';

const ROLES = ['publish', 'watch'];

/** @param {string} meeting */
export function showStreamKeys(meeting) {
  const base = `/meetings/${encodeURIComponent(meeting)}/stream-keys`;
  const list = h('ul', { class: 'link-list' });
  const fresh = h('div', { role: 'status' });
  const name = field(t('stream-keys.name'), { name: 'stream-key', maxlength: 200, required: true, autocomplete: 'off', placeholder: t('stream-keys.example') });
  const role = choice(t('stream-keys.role'), 'play', () => undefined);
  role.select.append(...ROLES.map((value) => h('option', { value }, t(`stream-keys.role-${value}`))));

  async function load() {
    try {
      const { keys } = await rest.get(base);
      list.replaceChildren(...(keys.length > 0 ? keys.map(row) : [h('li', { class: 'hint' }, t('stream-keys.none'))]));
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    }
  }

  /** @param {any} key */
  function row(key) {
    const used = key.last_used_at ? t('stream-keys.used', { time: dateTime(key.last_used_at) }) : t('stream-keys.used-never');
    return h('li', { 'data-key': key.id }, h('span', {}, t(key.role === 'publish' ? 'stream-keys.sends' : 'stream-keys.plays', { name: key.name, used })),
      h('button', { type: 'button', class: 'button danger', onclick: () => void remove(key) }, t('action.delete')));
  }

  /** @param {any} key */
  async function remove(key) {
    try {
      await rest.delete(`${base}/${encodeURIComponent(key.id)}`);
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    }
    await load();
  }

  async function make() {
    const key = await rest.post(base, { name: name.input.value.trim(), role: role.select.value });
    name.input.value = '';
    const url = new URL(key.url, location.href).href;
    fresh.replaceChildren(h('p', {}, t('stream-keys.fresh')),
      shownSecret(t('stream-keys.url'), url), shownSecret(t('stream-keys.secret'), key.secret));
    await load();
  }

  void load();
  return show((dialog) => [
    h('h2', {}, t('stream-keys.title')),
    h('p', {}, t('stream-keys.text')),
    list, fresh,
    form({ submit: make, action: t('stream-keys.create') }, name.element, role.element),
    h('div', { class: 'row-actions' }, h('button', { type: 'button', class: 'button', onclick: () => dialog.close('') }, t('action.close'))),
  ]);
}
