/** The combined video of a recording: playback and download, progress, or a retry. */
import { h } from './dom.js';
import { linksButton } from './file-links.js';
import { sentenceOf, size } from './format.js';
import { icon } from './icons.js';
import { rest } from './session.js';
import { t } from './words.js';

const AGAIN_MS = 2_000;

/**
 * @param {string} recording @param {object|null} composition from the recording's details
 * @param {AbortSignal} signal
 * @returns {HTMLElement}
 */
export function film(recording, composition, signal) {
  const path = `/recordings/${encodeURIComponent(recording)}`;
  const state = h('div', { class: 'film-state' });
  const player = h('div', {});
  let shown = '';
  let timer = 0;

  /** @param {any} current */
  function show(current) {
    const file = current?.file ?? '';
    if (file !== shown) player.replaceChildren(...(file ? [playerOf(recording, current)] : []));
    shown = file;
    state.replaceChildren(...stateOf(current, makeAgain));
    if (current?.state === 'queued' || current?.state === 'running') timer = setTimeout(() => void look(), AGAIN_MS);
  }

  async function look() {
    if (signal.aborted) return;
    try {
      show((await rest.get(path)).composition);
    } catch {
      timer = setTimeout(() => void look(), AGAIN_MS);
    }
  }

  async function makeAgain() {
    clearTimeout(timer);
    try {
      show((await rest.post(`${path}/composition`)).composition);
    } catch (error) {
      state.replaceChildren(h('p', { class: 'problem' }, sentenceOf(error)));
    }
  }

  signal.addEventListener('abort', () => clearTimeout(timer));
  show(composition);
  return h('div', { class: 'recorded-track film' }, player, state);
}

/** Describe the progress. @param {any} composition @param {() => unknown} makeAgain */
function stateOf(composition, makeAgain) {
  /** @param {string} words */
  const again = (words) => h('button', { class: 'button', type: 'button', onclick: () => void makeAgain() }, words);
  switch (composition?.state) {
    case undefined:
      return [again(t('film.create'))];
    case 'done':
      return [];
    case 'failed':
      return [h('p', { class: 'problem' }, t('film.failed', { error: composition.error })), again(t('film.again'))];
    case 'queued':
      return [h('p', { class: 'hint' }, t('film.queued'))];
    default:
      return [h('p', { class: 'hint' }, t('film.running', { progress: composition.progress }))];
  }
}

/** @param {string} recording @param {any} composition */
function playerOf(recording, composition) {
  const source = `/api/v1/recordings/${encodeURIComponent(recording)}/files/${composition.file}`;
  return h('div', {},
    h('p', {}, h('strong', {}, t('film.everybody')), h('span', { class: 'hint' }, ` ${t('film.kind', { size: size(composition.bytes) })}`)),
    h('div', { class: 'recorded-file' },
      h('video', { src: source, controls: true, preload: 'metadata' }),
      h('a', { class: 'icon-button', href: `${source}?download`, download: true, title: t('recordings.download'), 'aria-label': t('recordings.download-of', { file: t('film.label') }) }, icon('download')),
      linksButton(recording, composition.file, t('film.label'))));
}
