/** Stream keys of a meeting: made, copied and deleted by hosts, for encoders (WHIP) and players (WHEP). */
import { copyText } from './copy-link.js';
import { show } from './dialogs.js';
import { h } from './dom.js';
import { choice, field, form } from './fields.js';
import { dateTime, sentenceOf } from './format.js';
import { rest } from './session.js';
import { toast } from './toasts.js';

const ROLES = [['Sends sound and pictures (WHIP)', 'publish'], ['Plays the meeting (WHEP)', 'watch']];

/** @param {string} meeting */
export function showStreamKeys(meeting) {
  const base = `/meetings/${encodeURIComponent(meeting)}/stream-keys`;
  const list = h('ul', { class: 'link-list' });
  const fresh = h('div', { role: 'status' });
  const name = field('Display name', { name: 'stream-key', maxlength: 200, required: true, autocomplete: 'off', placeholder: 'Front door camera' });
  const role = choice('Program', 'play', () => undefined);
  role.select.append(...ROLES.map(([words, value]) => h('option', { value }, words)));

  async function load() {
    try {
      const { keys } = await rest.get(base);
      list.replaceChildren(...(keys.length > 0 ? keys.map(row) : [h('li', { class: 'hint' }, 'No stream keys yet.')]));
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    }
  }

  /** @param {any} key */
  function row(key) {
    const used = key.last_used_at ? `last used ${dateTime(key.last_used_at)}` : 'never used';
    return h('li', { 'data-key': key.id }, h('span', {}, `${key.name}: ${key.role === 'publish' ? 'sends' : 'plays'}, ${used}`),
      h('button', { type: 'button', class: 'button danger', onclick: () => void remove(key) }, 'Delete'));
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
    fresh.replaceChildren(h('p', {}, 'Enter these in the program. The key is not shown again.'),
      secret('Address', url), secret('Bearer token', key.secret));
    await load();
  }

  void load();
  return show((dialog) => [
    h('h2', {}, 'Stream keys'),
    h('p', {}, 'With a stream key, an encoder or a player can join this meeting any number of times. Deleting the key disconnects it.'),
    list, fresh,
    form({ submit: make, action: 'Create key' }, name.element, role.element),
    h('div', { class: 'row-actions' }, h('button', { type: 'button', class: 'button', onclick: () => dialog.close('') }, 'Close')),
  ]);
}

/** @param {string} label @param {string} value */
function secret(label, value) {
  const shown = field(label, { value, readonly: true });
  const copy = h('button', { type: 'button', class: 'button', onclick: () => void copyText(value, `${label} copied.`) }, 'Copy');
  return h('div', { class: 'inline' }, shown.element, copy);
}
