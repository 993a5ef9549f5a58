/** Further films of a recording: ordered in a layout, a size and a format, then downloaded or deleted. */
import { h } from './dom.js';
import { sentenceOf, size } from './format.js';
import { icon } from './icons.js';
import { rest } from './session.js';
import { t } from './words.js';

const AGAIN_MS = 2_000;
const LAYOUTS = ['grid', 'speaker', 'screen', 'single', 'waveform'];
const SIZES = ['720p', '1080p', 'vertical'];
const FORMATS = ['mp4', 'webm', 'm4a', 'mp3'];

/**
 * @param {string} recording @param {AbortSignal} signal
 * @returns {HTMLElement}
 */
export function orderedFilms(recording, signal) {
  const path = `/recordings/${encodeURIComponent(recording)}/films`;
  const list = h('ul', {});
  const problem = h('p', { class: 'problem', role: 'status' });
  let timer = 0;

  async function look() {
    clearTimeout(timer);
    if (signal.aborted) return;
    const { films } = await rest.get(path);
    list.replaceChildren(...films.map((/** @type {any} */ film) => row(recording, film, () => act(() => rest.delete(`${path}/${encodeURIComponent(film.id)}`)))));
    if (films.some((/** @type {any} */ film) => film.state === 'queued' || film.state === 'running')) timer = setTimeout(() => void act(), AGAIN_MS);
  }

  /** Do something, and show the films as they are then. @param {() => Promise<unknown>} [change] */
  async function act(change) {
    problem.textContent = '';
    try {
      await change?.();
      await look();
    } catch (error) {
      problem.textContent = sentenceOf(error);
    }
  }

  const layout = choice('film.layout', LAYOUTS, (value) => t(`film.layout-${value}`));
  const picture = choice('film.size', SIZES, (value) => (value === 'vertical' ? t('film.size-vertical') : value));
  const format = choice('film.format', FORMATS, (value) => value.toUpperCase());
  const order = () => act(() => rest.post(path, { layout: layout.value, size: picture.value, format: format.value }));
  signal.addEventListener('abort', () => clearTimeout(timer));
  const details = h('details', { class: 'recorded-track', ontoggle: () => void (details.open && act()) },
    h('summary', {}, t('film.others')),
    h('div', { class: 'row-actions' }, layout, picture, format,
      h('button', { class: 'button', type: 'button', onclick: () => void order() }, t('film.order'))),
    problem, list);
  return details;
}

/** @param {string} label @param {string[]} values @param {(value: string) => string} words */
function choice(label, values, words) {
  return h('select', { class: 'input', 'aria-label': t(label) }, ...values.map((value) => h('option', { value }, words(value))));
}

/** @param {string} recording @param {any} film @param {() => Promise<void>} remove */
function row(recording, film, remove) {
  const { layout, size: picture, format } = film.options;
  const name = `${t(`film.layout-${layout ?? 'grid'}`)} · ${picture === 'vertical' ? t('film.size-vertical') : picture ?? '720p'} · ${(format ?? 'mp4').toUpperCase()}`;
  const source = `/api/v1/recordings/${encodeURIComponent(recording)}/files/${film.file}`;
  return h('li', { class: 'recorded-file' },
    h('span', {}, name, h('span', { class: 'hint' }, ` ${stateOf(film)}`)),
    film.file && h('a', { class: 'icon-button', href: `${source}?download`, download: true, title: t('recordings.download'), 'aria-label': t('recordings.download-of', { file: name }) }, icon('download')),
    h('button', { class: 'button small', type: 'button', 'aria-label': t('film.delete-of', { film: name }), onclick: () => void remove() }, t('film.delete')));
}

/** @param {any} film */
function stateOf(film) {
  switch (film.state) {
    case 'done':
      return size(film.bytes);
    case 'failed':
      return t('film.failed', { error: film.error });
    case 'queued':
      return t('film.queued');
    default:
      return t('film.running', { progress: film.progress });
  }
}
