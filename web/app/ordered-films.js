/** Further videos of a recording, ordered with a layout, size and format. */
import { h } from './dom.js';
import { filmList } from './film-list.js';
import { sentenceOf } from './format.js';
import { rest } from './session.js';
import { t } from './words.js';

const LAYOUTS = ['grid', 'speaker', 'screen', 'single', 'waveform'];
const SIZES = ['720p', '1080p', 'vertical'];
const FORMATS = ['mp4', 'webm', 'm4a', 'mp3'];

/** The order form with a list of its videos, which loads when it is opened. @param {string} recording @param {AbortSignal} signal @returns {HTMLElement} */
export function orderedFilms(recording, signal) {
  const { element, act } = orderForm(recording, () => list.load());
  const list = filmList(recording, signal, (film) => void act(() => rest.delete(`/recordings/${encodeURIComponent(recording)}/films/${encodeURIComponent(film.id)}`)));
  element.append(list.element);
  element.addEventListener('toggle', () => element.open && void act());
  return element;
}

/**
 * The form alone, for a page that already lists the videos.
 * @param {string} recording @param {() => Promise<unknown>} load refreshes the list of videos
 * @returns {{element: HTMLDetailsElement, act: (change?: () => Promise<unknown>) => Promise<void>}}
 */
export function orderForm(recording, load) {
  const problem = h('p', { class: 'problem', role: 'status' });

  /** Make a change, then refresh the list. @param {() => Promise<unknown>} [change] */
  async function act(change) {
    problem.textContent = '';
    try {
      await change?.();
      await load();
    } catch (error) {
      problem.textContent = sentenceOf(error);
    }
  }

  const layout = choice('film.layout', LAYOUTS, (value) => t(`film.layout-${value}`));
  const picture = choice('film.size', SIZES, (value) => (value === 'vertical' ? t('film.size-vertical') : value));
  const format = choice('film.format', FORMATS, (value) => value.toUpperCase());
  const captions = choice('film.captions', ['none', 'burnt', 'track'], (value) => t(`film.captions-${value}`));
  const watermark = h('input', { class: 'input', maxlength: 80, placeholder: t('film.watermark'), 'aria-label': t('film.watermark') });
  const order = () => act(() => rest.post(`/recordings/${encodeURIComponent(recording)}/films`, {
    layout: layout.value, size: picture.value, format: format.value, captions: captions.value,
    ...(watermark.value.trim() && { watermark: { text: watermark.value.trim() } }),
  }));
  const element = h('details', { class: 'recorded-track' },
    h('summary', {}, t('film.others')),
    h('div', { class: 'row-actions' }, layout, picture, format, captions, watermark,
      h('button', { class: 'button', type: 'button', onclick: () => void order() }, t('film.order'))),
    problem);
  return { element, act };
}

/** @param {string} label @param {string[]} values @param {(value: string) => string} words */
function choice(label, values, words) {
  return h('select', { class: 'input', 'aria-label': t(label) }, ...values.map((value) => h('option', { value }, words(value))));
}
