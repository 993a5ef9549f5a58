/** Clips: parts of a recording as separate videos. They are cut here, made by the server, downloaded, shared and deleted. */
import { ask, showForm } from './dialogs.js';
import { h } from './dom.js';
import { field, form } from './fields.js';
import { filmList } from './film-list.js';
import { duration, sentenceOf } from './format.js';
import { rest } from './session.js';
import { toast } from './toasts.js';
import { t } from './words.js';

const FIRST_MS = 30_000;

/**
 * @param {string} recording @param {number} length ms @param {AbortSignal} signal
 * @returns {{element: HTMLElement, cut: (at: number) => void, load: () => Promise<void>}} `cut` opens the form for a clip that begins at `at` ms
 */
export function clips(recording, length, signal) {
  const base = `/recordings/${encodeURIComponent(recording)}`;
  const list = filmList(recording, signal, (film, name) => void remove(film.id, name));
  const element = h('section', { class: 'card clips', hidden: true }, h('h2', {}, t('clips.title')), list.element);

  async function load() {
    element.hidden = (await list.load()) === 0;
  }

  /** @param {string} film @param {string} name */
  async function remove(film, name) {
    const answer = await ask(t('clips.delete-ask', { name }), '', [{ label: t('action.delete'), value: 'delete', class: 'danger' }]);
    if (answer !== 'delete') return;
    try {
      await rest.delete(`${base}/films/${encodeURIComponent(film)}`);
      await load();
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    }
  }

  /** @param {number} at */
  function cut(at) {
    const start = field(t('clips.from'), { name: 'from', required: true, inputmode: 'numeric', value: duration(at), autocomplete: 'off' });
    const end = field(t('clips.to'), { name: 'to', required: true, inputmode: 'numeric', value: duration(Math.min(at + FIRST_MS, length)), autocomplete: 'off' });
    void showForm(t('clips.new'), (close) => [
      h('p', { class: 'hint' }, t('clips.text')),
      form({
        action: t('clips.create'),
        submit: async () => {
          const [from, to] = [timeOf(start.input.value), Math.min(timeOf(end.input.value), length)];
          if (!(from < to)) throw new Error(t('clips.wrong', { length: duration(length) }));
          await rest.post(`${base}/films`, { ranges: [[from, to]] });
          close();
          await load();
          element.scrollIntoView({ block: 'nearest' });
        },
      }, h('div', { class: 'pair' }, start.element, end.element)),
    ]);
  }

  void load().catch((error) => toast(sentenceOf(error), 'problem'));
  return { element, cut, load };
}

/** @param {string} text 0:07, 12:34, 1:02:03, or seconds @returns {number} ms, NaN for anything else */
function timeOf(text) {
  const parts = text.trim().replace(/：/g, ':').split(':');
  if (parts.length > 3 || parts.some((part) => !/^\d+(\.\d+)?$/.test(part))) return NaN;
  return Math.round(parts.reduce((sum, part) => sum * 60 + Number(part), 0) * 1000);
}
