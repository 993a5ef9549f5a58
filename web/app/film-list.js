/** The videos ordered of a recording, including clips: their progress, and actions to play, download, share and delete. */
import { h } from './dom.js';
import { iconButton } from './fields.js';
import { duration, size } from './format.js';
import { icon } from './icons.js';
import { rest } from './session.js';
import { share } from './share-dialog.js';
import { t } from './words.js';

const AGAIN_MS = 2_000;

/**
 * @param {string} recording @param {AbortSignal} signal
 * @param {(film: any, name: string) => void} remove
 * @returns {{element: HTMLElement, load: () => Promise<number>}} `load` refreshes the list, and returns the number of videos
 */
export function filmList(recording, signal, remove) {
  const base = `/recordings/${encodeURIComponent(recording)}`;
  const element = h('ul', { class: 'track-list' });
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  let timer;
  signal.addEventListener('abort', () => clearTimeout(timer));

  async function load() {
    clearTimeout(timer);
    const { films } = await rest.get(`${base}/films`);
    if (signal.aborted) return 0;
    element.replaceChildren(...films.map(row));
    const busy = films.some((/** @type {any} */ film) => film.state === 'queued' || film.state === 'running');
    if (busy) timer = setTimeout(() => void load().catch(() => undefined), AGAIN_MS);
    return films.length;
  }

  /** @param {any} film */
  function row(film) {
    const name = nameOf(film.options);
    return h('li', { 'data-film': film.id },
      h('span', {}, h('strong', {}, name), h('span', { class: 'hint' }, ` ${filmState(film)}`)),
      film.file && iconButton('play', t('film.play-of', { film: name }), { onclick: () => void import('./film-player.js').then(({ playFilm }) => playFilm(name, `/api/v1${base}/files/${film.file}`)) }),
      film.file && h('a', {
        class: 'icon-button', href: `/api/v1${base}/files/${film.file}?download`, download: true, target: '_self',
        title: t('recordings.download'), 'aria-label': t('recordings.download-of', { file: name }),
      }, icon('download')),
      film.file && iconButton('link', t('links.of', { file: name }), { onclick: () => void share(recording, { film: film.id, name }) }),
      iconButton('trash', t('action.delete'), { 'aria-label': t('film.delete-of', { film: name }), onclick: () => remove(film, name) }));
  }
  return { element, load };
}

/** A description of a video: its content, and its options that differ from the defaults. @param {any} options @returns {string} */
function nameOf({ ranges = [], layout = 'grid', size: picture = '720p', format = 'mp4' }) {
  const parts = ranges.map((/** @type {number[]} */ [from, to]) => `${duration(from)}–${duration(to)}`).join(', ');
  const isUsual = layout === 'grid' && picture === '720p' && format === 'mp4';
  if (parts && isUsual) return parts;
  return [parts, t(`film.layout-${layout}`), picture === 'vertical' ? t('film.size-vertical') : picture, format.toUpperCase()].filter(Boolean).join(' · ');
}

/** The progress of a video, or its size once it is complete. @param {any} film @returns {string} */
export function filmState(film) {
  if (film.state === 'done') return size(film.bytes);
  if (film.state === 'failed') return t('film.failed', { error: film.error ?? '' });
  return film.state === 'queued' ? t('film.queued') : t('film.running', { progress: film.progress });
}
