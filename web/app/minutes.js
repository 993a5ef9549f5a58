/** The minutes of a finished meeting, or their state. */
import { h } from './dom.js';
import { rest } from './session.js';
import { t } from './words.js';

const AGAIN_MS = 2_000;

/** @param {string} meeting @param {AbortSignal} signal @returns {HTMLElement} empty if there are none */
export function minutes(meeting, signal) {
  const element = h('section', { class: 'minutes', 'aria-label': t('minutes.title') });
  void show(element, meeting, signal);
  return element;
}

/** @param {HTMLElement} element @param {string} meeting @param {AbortSignal} signal */
async function show(element, meeting, signal) {
  const found = await rest.get(`/meetings/${encodeURIComponent(meeting)}/minutes`).catch(() => ({ state: 'none' }));
  if (signal.aborted) return;
  element.replaceChildren(...words(found));
  if (found.state !== 'writing') return;
  const timer = setTimeout(() => void show(element, meeting, signal), AGAIN_MS);
  signal.addEventListener('abort', () => clearTimeout(timer));
}

/** @param {any} minutes */
function words({ state, text, model, error }) {
  if (state === 'none') return [];
  const title = h('h2', {}, t('minutes.title'));
  if (state === 'writing') return [title, h('p', { class: 'hint' }, t('minutes.writing'))];
  if (state === 'failed') return [title, h('p', { class: 'problem', role: 'alert' }, t('minutes.failed', { error }))];
  return [
    title,
    h('div', { class: 'card minutes-text' }, ...text.split(/\n+/).map((/** @type {string} */ line) => h('p', {}, line))),
    h('p', { class: 'hint' }, t('minutes.by', { model })),
  ];
}
