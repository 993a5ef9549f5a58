/** Parts of a recording as films of their own: cut here, made by the server, downloaded, shared and deleted. */
import { ask, showForm } from './dialogs.js';
import { h } from './dom.js';
import { field, form, iconButton } from './fields.js';
import { linksButton } from './file-links.js';
import { duration, sentenceOf, size } from './format.js';
import { icon } from './icons.js';
import { rest } from './session.js';
import { toast } from './toasts.js';
import { t } from './words.js';

const AGAIN_MS = 2_000;
const FIRST_MS = 30_000;

/**
 * @param {string} recording @param {number} length ms @param {AbortSignal} signal
 * @returns {{element: HTMLElement, cut: (at: number) => void}} `cut` asks for a part that begins at `at` ms
 */
export function clips(recording, length, signal) {
  const base = `/recordings/${encodeURIComponent(recording)}`;
  const list = h('ul', { class: 'track-list' });
  const element = h('section', { class: 'card clips', hidden: true }, h('h2', {}, t('clips.title')), list);
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  let timer;
  signal.addEventListener('abort', () => clearTimeout(timer));

  async function load() {
    clearTimeout(timer);
    const { films } = await rest.get(`${base}/films`);
    if (signal.aborted) return;
    element.hidden = films.length === 0;
    list.replaceChildren(...films.map(row));
    const busy = films.some((/** @type {any} */ one) => one.state === 'queued' || one.state === 'running');
    if (busy) timer = setTimeout(() => void load().catch(() => undefined), AGAIN_MS);
  }

  /** @param {any} film */
  function row(film) {
    const ranges = film.options.ranges ?? [];
    const name = ranges.length > 0 ? ranges.map((/** @type {number[]} */ [from, to]) => `${duration(from)}–${duration(to)}`).join(', ') : t('clips.whole');
    const source = `/api/v1${base}/files/${film.file}?download`;
    return h('li', { 'data-film': film.id },
      h('span', {}, h('strong', {}, name), h('span', { class: 'hint' }, ` ${state(film)}`)),
      film.file && h('a', { class: 'icon-button', href: source, download: true, target: '_self', title: t('recordings.download'), 'aria-label': t('recordings.download-of', { file: name }) }, icon('download')),
      film.file && linksButton(recording, film.file, name),
      iconButton('trash', t('action.delete'), { 'aria-label': t('clips.delete-of', { name }), onclick: () => void remove(film.id, name) }));
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
  return { element, cut };
}

/** @param {any} film */
function state(film) {
  if (film.state === 'done') return size(film.bytes);
  if (film.state === 'failed') return t('film.failed', { error: film.error ?? '' });
  return film.state === 'queued' ? t('film.queued') : t('film.running', { progress: film.progress });
}

/** @param {string} text 0:07, 12:34, 1:02:03, or seconds @returns {number} ms, NaN for anything else */
function timeOf(text) {
  const parts = text.trim().replace(/：/g, ':').split(':');
  if (parts.length > 3 || parts.some((part) => !/^\d+(\.\d+)?$/.test(part))) return NaN;
  return Math.round(parts.reduce((sum, part) => sum * 60 + Number(part), 0) * 1000);
}
