/** `/m/<meeting>/recordings`: recordings to play and download. */
import { accountTop } from './account-top.js';
import { h } from './dom.js';
import { linksButton } from './file-links.js';
import { film } from './film.js';
import { dateTime, duration, sentenceOf, size } from './format.js';
import { icon } from './icons.js';
import { minutes } from './minutes.js';
import { orderedFilms } from './ordered-films.js';
import { currentUser, rest } from './session.js';
import { spoken } from './spoken.js';
import { t } from './words.js';
import { top } from './shell.js';

const AGAIN_MS = 2_000;
/** The share of the quota from which a warning is shown. */
const NEARLY = 0.8;

/** @param {HTMLElement} page @param {import('./main.js').Context} context */
export async function showRecordings(page, context) {
  const [meeting] = context.parameters;
  const user = await currentUser();
  if (context.signal.aborted) return;
  const list = h('ul', { class: 'recording-list' });
  const title = h('h1', {}, t('recordings.title'));
  const storage = h('p', { class: 'hint storage', role: 'status' });
  page.replaceChildren(
    user ? accountTop(context, user) : top(context),
    h('main', { class: 'recordings' }, h('a', { class: 'link', href: `/m/${encodeURIComponent(meeting)}` }, t('recordings.back')), title, storage, list, spoken(meeting, context.signal), minutes(meeting, context.signal)),
  );
  const [summary] = await Promise.all([rest.meeting(meeting), load(meeting, list, storage, context.signal)]);
  title.textContent = t('recordings.of', { title: summary.title });
}

/**
 * Show the list, and refresh it while a recording is unfinished.
 * @param {string} meeting @param {HTMLElement} list @param {HTMLElement} storage @param {AbortSignal} signal
 */
async function load(meeting, list, storage, signal) {
  const { recordings, storage: state } = await everything(`/meetings/${encodeURIComponent(meeting)}/recordings`);
  if (signal.aborted) return;
  storage.textContent = [room(state), quota(state)].filter(Boolean).join(' · ');
  storage.classList.toggle('problem', nearlyUsed(state));
  list.replaceChildren(...(recordings.length > 0 ? recordings.map((/** @type {any} */ recording) => row(recording, signal)) : [h('li', { class: 'empty' }, t('recordings.empty'))]));
  if (recordings.some((/** @type {any} */ recording) => recording.state === 'recording' || recording.state === 'sealing')) {
    const timer = setTimeout(() => void load(meeting, list, storage, signal).catch(() => undefined), AGAIN_MS);
    signal.addEventListener('abort', () => clearTimeout(timer));
  }
}

/** All pages of a list of recordings. @param {string} path @returns {Promise<{recordings: any[], storage: any}>} */
async function everything(path) {
  const first = await rest.get(path);
  const recordings = [...first.recordings];
  for (let { next } = first; next;) {
    const page = await rest.get(`${path}?cursor=${encodeURIComponent(next)}`);
    recordings.push(...page.recordings);
    ({ next } = page);
  }
  return { recordings, storage: first.storage };
}

/** The free space, in words. @param {any} storage */
function room(storage) {
  if (!storage.healthy) return t('recordings.none-now', { problem: storage.problem });
  if (storage.free_bytes === null) return '';
  const free = size(storage.free_bytes);
  if (storage.days_left === null) return t('recordings.free', { size: free });
  return t('recordings.free-days', { size: free, days: Math.floor(storage.days_left) });
}

/** Whether the quota will soon refuse recordings. @param {any} storage */
function nearlyUsed(storage) {
  return storage.quota_bytes !== null && storage.used_bytes >= NEARLY * storage.quota_bytes;
}

/** The host's quota, in words. @param {any} storage */
function quota(storage) {
  if (storage.quota_bytes === null) return '';
  const words = { used: size(storage.used_bytes), quota: size(storage.quota_bytes) };
  if (storage.used_bytes >= storage.quota_bytes) return t('recordings.quota-used', words);
  return t(nearlyUsed(storage) ? 'recordings.quota-near' : 'recordings.quota', words);
}

/** @param {any} recording @param {AbortSignal} signal */
function row(recording, signal) {
  const finished = recording.state === 'ready' || recording.state === 'partial';
  const tracks = h('div', { class: 'recorded-tracks' });
  const details = h('details', { ontoggle: () => void (details.open && showTracks(recording, tracks, signal)) },
    h('summary', {}, t('recordings.tracks')), tracks);
  return h('li', { class: 'card recording', 'data-recording': recording.id, 'data-state': recording.state },
    h('div', { class: 'recording-head' },
      h('div', {},
        h('h2', {}, finished ? h('a', { href: `/recordings/${encodeURIComponent(recording.id)}` }, dateTime(recording.started_at)) : dateTime(recording.started_at)),
        h('p', { class: 'hint' },
          h('span', { class: `status status-${recording.state}` }, t(`recordings.state-${recording.state}`)),
          recording.duration_ms !== null && ` ${duration(recording.duration_ms)}`,
          recording.bytes !== null && ` · ${size(recording.bytes)}`),
        recording.stalled && h('p', { class: 'problem' }, t('recordings.stalled', { reason: recording.stalled })),
        problems(recording.problems)),
      finished && h('a', { class: 'button primary', href: `/api/v1/recording/download/${encodeURIComponent(recording.id)}`, download: true },
        icon('download'), t('recordings.download'))),
    finished && details);
}

/** Problems of a recording: gaps and repairs. @param {string[]} sentences */
function problems(sentences) {
  return sentences.length > 0 && h('ul', { class: 'hint problems' }, ...sentences.map((sentence) => h('li', {}, sentence)));
}

/** @param {any} recording @param {HTMLElement} container @param {AbortSignal} signal */
async function showTracks(recording, container, signal) {
  if (container.children.length > 0) return;
  try {
    const { tracks, composition } = await rest.get(`/recordings/${encodeURIComponent(recording.id)}`);
    container.replaceChildren(film(recording.id, composition, signal), orderedFilms(recording.id, signal), ...tracks.map((/** @type {any} */ track) => trackRow(recording, track)));
  } catch (error) {
    container.replaceChildren(h('p', { class: 'problem' }, sentenceOf(error)));
  }
}

/** @param {any} recording @param {any} track */
function trackRow(recording, track) {
  const base = `/api/v1/recordings/${encodeURIComponent(recording.id)}/files/`;
  const sound = track.source === 'microphone' || track.source === 'screen-audio';
  return h('div', { class: 'recorded-track' },
    h('p', {}, h('strong', {}, track.name), ` · ${t(`recordings.source-${track.source}`)}`,
      h('span', { class: 'hint' }, ` ${duration(track.duration_ms)} · ${track.codec}`)),
    ...track.files.map((/** @type {any} */ file) => h('div', { class: 'recorded-file' },
      h(sound ? 'audio' : 'video', { src: base + file, controls: true, preload: 'metadata' }),
      h('a', { class: 'icon-button', href: base + file, download: true, title: t('recordings.download'), 'aria-label': t('recordings.download-of', { file }) }, icon('download')),
      linksButton(recording.id, file, file))));
}
