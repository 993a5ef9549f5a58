/** The links by which anyone may download one file of a recording: made, copied and taken back. */
import { copyLink } from './copy-link.js';
import { show } from './dialogs.js';
import { h } from './dom.js';
import { choice, form, iconButton } from './fields.js';
import { dateTime, sentenceOf } from './format.js';
import { rest } from './session.js';
import { toast } from './toasts.js';

const TIMES = [['An hour', 3600], ['A day', 86_400], ['A week', 604_800]];

/** @param {string} recording @param {string} file as the recording names it @param {string} label @returns {HTMLElement} */
export function linksButton(recording, file, label) {
  return iconButton('link', `Links to ${label}`, { onclick: () => void showLinks(recording, file, label) });
}

/** @param {string} recording @param {string} file @param {string} label */
function showLinks(recording, file, label) {
  const base = `/recordings/${encodeURIComponent(recording)}/file-links`;
  const list = h('ul', { class: 'link-list' });
  const time = choice('Valid for', 'calendar', () => undefined);
  time.select.append(...TIMES.map(([words, seconds]) => h('option', { value: String(seconds) }, String(words))));

  async function load() {
    try {
      const links = (await rest.get(base)).links.filter((/** @type {any} */ link) => link.name === file);
      list.replaceChildren(...(links.length > 0 ? links.map(row) : [h('li', { class: 'hint' }, 'No links yet.')]));
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    }
  }

  /** @param {any} link */
  function row(link) {
    return h('li', { 'data-link': link.id }, h('span', {}, `Until ${dateTime(link.expires_at)}`),
      h('button', { type: 'button', class: 'button', onclick: () => void copyLink(link.url) }, 'Copy'),
      h('button', { type: 'button', class: 'button danger', onclick: () => void takeBack(link) }, 'Revoke'));
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
    h('h2', {}, `Links to ${label}`),
    h('p', {}, 'Anyone with a link can download this file without signing in, until the link expires or is revoked.'),
    list,
    form({ submit: make, action: 'Create link' }, time.element),
    h('div', { class: 'row-actions' }, h('button', { type: 'button', class: 'button', onclick: () => dialog.close('') }, 'Close')),
  ]);
}
