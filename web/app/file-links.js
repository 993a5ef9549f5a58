/** Public download links of one file of a recording: created, copied and revoked. */
import { copyLink } from './copy-link.js';
import { show } from './dialogs.js';
import { h } from './dom.js';
import { choice, form, iconButton } from './fields.js';
import { dateTime, sentenceOf } from './format.js';
import { rest } from './session.js';
import { toast } from './toasts.js';
import { t } from './words.js';

const TIMES = [['hour', 3600], ['day', 86_400], ['week', 604_800]];

/** @param {string} recording @param {string} file its name in the recording @param {string} label @returns {HTMLElement} */
export function linksButton(recording, file, label) {
  return iconButton('link', t('links.of', { file: label }), { onclick: () => void showLinks(recording, file, label) });
}

/** @param {string} recording @param {string} file @param {string} label */
function showLinks(recording, file, label) {
  const base = `/recordings/${encodeURIComponent(recording)}/file-links`;
  const list = h('ul', { class: 'link-list' });
  const time = choice(t('links.valid'), 'clock', () => undefined);
  time.select.append(...TIMES.map(([name, seconds]) => h('option', { value: String(seconds) }, t(`links.${name}`))));

  async function load() {
    try {
      const links = (await rest.get(base)).links.filter((/** @type {any} */ link) => link.name === file);
      list.replaceChildren(...(links.length > 0 ? links.map(row) : [h('li', { class: 'hint' }, t('links.none'))]));
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    }
  }

  /** @param {any} link */
  function row(link) {
    return h('li', { 'data-link': link.id }, h('span', {}, t('links.until', { time: dateTime(link.expires_at) })),
      h('button', { type: 'button', class: 'button', onclick: () => void copyLink(link.url) }, t('action.copy')),
      h('button', { type: 'button', class: 'button danger', onclick: () => void takeBack(link) }, t('links.revoke')));
  }

  /** @param {any} link */
  async function takeBack(link) {
    try {
      await rest.delete(`${base}/${encodeURIComponent(link.id)}`);
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    }
    await load();
  }

  async function make() {
    const link = await rest.post(base, { name: file, seconds: Number(time.select.value) });
    await Promise.all([copyLink(link.url), load()]);
  }

  void load();
  return show((dialog) => [
    h('h2', {}, t('links.of', { file: label })),
    h('p', {}, t('links.text')),
    list,
    form({ submit: make, action: t('links.create') }, time.element),
    h('div', { class: 'row-actions' }, h('button', { type: 'button', class: 'button', onclick: () => dialog.close('') }, t('action.close'))),
  ]);
}
