/** `/recordings/<id>` and, for whom it was shared with, `/s/<token>`: one recording to watch, read, search and hand on. */
import { accountTop } from './account-top.js';
import { titleOf } from './brand.js';
import { clips } from './clips.js';
import { ask } from './dialogs.js';
import { h, setText } from './dom.js';
import { linksButton } from './file-links.js';
import { codeOf, dateTime, duration, sentenceOf, size } from './format.js';
import { icon } from './icons.js';
import { orderForm } from './ordered-films.js';
import { currentUser, rest } from './session.js';
import { speakerTimeline } from './speaker-timeline.js';
import { toast } from './toasts.js';
import { top } from './shell.js';
import { transcriptPane } from './transcript-pane.js';
import { t } from './words.js';

const AGAIN_MS = 3_000;

/** @param {HTMLElement} page @param {import('./main.js').Context} context */
export async function showRecording(page, context) {
  const [id] = context.parameters;
  const path = `/recordings/${encodeURIComponent(id)}`;
  const user = await currentUser();
  if (!user) return void (!context.signal.aborted && context.navigate(`/?next=${path}`));
  const [detail, { captions }, { translation: languages = [] }] = await Promise.all([
    rest.get(path), rest.get(`${path}/captions`), rest.get('/ai/analysis').catch(() => ({})),
  ]);
  if (context.signal.aborted) return;
  const { recording } = detail;
  const finished = recording.state === 'ready' || recording.state === 'partial';
  const shown = watch(detail, captions, `/api/v1${path}/files/`, context, finished && (() => void compose(path, context)), {
    edit: recording.held ? undefined : (caption, changed) => void import('./caption-edit.js').then(({ editCaption }) => editCaption(id, caption, changed)),
    downloads: `/api/v1${path}/transcript`,
    translate: { languages, meeting: recording.meeting, signal: context.signal },
  });
  const parts = finished && clips(id, recording.duration_ms ?? 0, context.signal);
  page.replaceChildren(
    accountTop(context, user),
    h('main', { class: 'watch' }, heading(recording,
      finished && h('button', { type: 'button', class: 'button primary', onclick: () => void import('./share-dialog.js').then(({ share }) => share(id, { now: shown.now() })) }, icon('link'), t('share.action')),
      parts && h('button', { type: 'button', class: 'button', onclick: () => parts.cut(shown.now() * 1000) }, icon('cut'), t('clips.action')),
      finished && h('a', { class: 'button', href: `/api/v1/recording/download/${encodeURIComponent(id)}`, download: true, target: '_self' }, icon('download'), t('recordings.download')),
      finished && h('button', { type: 'button', class: 'button', onclick: () => void hold(path, !recording.held, context) }, icon('lock'), t(recording.held ? 'hold.release' : 'hold.place')),
      finished && !recording.held && h('button', { type: 'button', class: 'button', onclick: () => void remove(id, recording.title, context) }, icon('trash'), t('action.delete'))),
    shown.element, parts && parts.element, parts && orderForm(id, parts.load).element, finished && tracks(id, detail)));
  if (!finished || ['queued', 'running'].includes(detail.composition?.state)) keepLooking(path, recording.state, context);
}

/** @param {HTMLElement} page @param {import('./main.js').Context} context */
export async function showShared(page, context) {
  const path = `/shared/${encodeURIComponent(context.parameters[0])}`;
  const detail = await rest.get(path).catch(async (error) => {
    const unlock = (await import('./locked-link.js')).KEYS[codeOf(error)];
    if (!unlock) throw error;
    if (!context.signal.aborted) unlock(page, path, context, error);
    return null;
  });
  if (!detail) return;
  const { captions } = await rest.get(`${path}/captions`);
  if (context.signal.aborted) return;
  const files = `/api/v1${path}/files/`;
  const file = detail.composition?.file;
  const save = file && h('a', { class: 'button', href: `${files}${file}?download`, download: true, target: '_self' }, icon('download'), t('recordings.download'));
  const until = detail.expires_at && h('p', { class: 'hint' }, t('share.until', { time: dateTime(detail.expires_at) }));
  page.replaceChildren(top(context), detail.clip
    ? clipView(detail, captions, files, context, save, until)
    : h('main', { class: 'watch' }, heading(detail.recording, save), watch(detail, captions, files, context).element, until));
}

/**
 * A clip by itself: the video with its storyboard, its title, and what is said in it. @param {any} detail @param {any[]} captions @param {string} files
 * @param {import('./main.js').Context} context @param {any} save @param {any} until
 */
function clipView({ recording, composition }, captions, files, context, save, until) {
  document.title = titleOf(recording.title);
  const video = h('video', { class: 'watch-film', src: files + composition.file, controls: true, preload: 'metadata', playsinline: true, 'aria-label': t('film.label') });
  context.signal.addEventListener('abort', () => video.pause());
  addCaptions(video, captions);
  /** @param {number} ms */
  const seek = (ms) => {
    video.currentTime = ms / 1000;
    void video.play().catch(() => undefined);
  };
  const timeline = speakerTimeline({
    captions, tracks: [], chapters: [], length: Math.max(recording.duration_ms ?? 0, 1), files, pictures: composition.storyboard, seek,
    now: () => video.currentTime * 1000,
    move: (ms) => (video.currentTime = ms / 1000),
  });
  const lines = captions.map((line) => h('button', { type: 'button', class: 'clip-line', onclick: () => seek(line.start_ms) }, h('span', { class: 'hint' }, line.name), h('span', { lang: line.lang }, line.text)));
  video.addEventListener('timeupdate', () => {
    timeline.follow(video.currentTime * 1000);
    for (const [index, { start_ms: start, end_ms: end }] of captions.entries()) lines[index].classList.toggle('now', video.currentTime * 1000 >= start && video.currentTime * 1000 < end);
  });
  return h('main', { class: 'clip' }, video, timeline.element,
    h('header', { class: 'watch-head' },
      h('div', {}, h('h1', {}, recording.title), h('p', { class: 'hint' }, t('clips.about', { time: dateTime(recording.started_at), length: duration(recording.duration_ms) }))),
      h('div', { class: 'row-actions' }, save)),
    lines.length > 0 && h('section', { class: 'card clip-lines', 'aria-label': t('clips.said') }, ...lines),
    until);
}

/** Give a video its captions. @param {HTMLVideoElement} video @param {any[]} captions */
function addCaptions(video, captions) {
  void import('./text-track.js').then((track) => track.addCaptions(video, captions));
}

/** @param {any} recording @param {...any} actions */
function heading(recording, ...actions) {
  document.title = titleOf(recording.title);
  return h('header', { class: 'watch-head' },
    h('div', {}, h('h1', {}, recording.title),
      h('p', { class: 'hint' }, [dateTime(recording.started_at), recording.duration_ms !== null && duration(recording.duration_ms), recording.bytes !== null && size(recording.bytes)].filter(Boolean).join(' · ')),
      recording.held && h('p', { class: 'hint' }, t('hold.text')),
      recording.deleted_at && h('p', { class: 'hint' }, t('hold.deleted-at', { time: dateTime(recording.deleted_at) })),
      recording.problems.length > 0 && h('ul', { class: 'hint problems' }, ...recording.problems.map((/** @type {string} */ one) => h('li', {}, one)))),
    h('div', { class: 'row-actions' }, ...actions));
}

/**
 * The video beside its transcript. @param {any} detail @param {any[]} captions @param {string} files the address of its files
 * @param {import('./main.js').Context} context @param {(() => void)|false} [make] orders a video
 * @param {{edit?: (caption: any, changed: (text: string) => void) => void, downloads?: string, translate?: {languages: string[], meeting: string, signal: AbortSignal}}} [more] of the transcript
 * @returns {{element: HTMLElement, now: () => number}}
 */
function watch(detail, captions, files, context, make = false, more = {}) {
  const { recording, tracks: all, composition } = detail;
  const length = Math.max(recording.duration_ms ?? 0, 1);
  // Every video has a chapter at its start; a single chapter is not worth showing.
  const chapters = composition?.chapters ?? [];
  const file = composition?.file;
  const video = file && h('video', { class: 'watch-film', src: files + file, controls: true, preload: 'metadata', playsinline: true, 'aria-label': t('film.label') });
  /** @param {number} ms */
  const seek = (ms) => {
    if (!video) return;
    video.currentTime = ms / 1000;
    void video.play().catch(() => undefined);
  };
  const pane = transcriptPane(captions, seek, more);
  const timeline = speakerTimeline({
    captions, tracks: all, chapters: chapters.length > 1 ? chapters : [], length, files, pictures: composition?.storyboard, seek,
    now: () => (video ? video.currentTime * 1000 : 0),
    move: video ? (ms) => (video.currentTime = ms / 1000) : null,
  });
  if (video) {
    addCaptions(video, captions);
    const from = Number(new URLSearchParams(location.hash.slice(1)).get('t'));
    if (from > 0) video.addEventListener('loadedmetadata', () => (video.currentTime = from), { once: true });
    video.addEventListener('timeupdate', () => {
      pane.follow(video.currentTime * 1000);
      timeline.follow(video.currentTime * 1000);
    });
    context.signal.addEventListener('abort', () => video.pause());
  }
  return {
    element: h('div', { class: 'watch-columns' },
      h('div', { class: 'watch-film-side' },
        video || h('div', { class: 'watch-film watch-none' }, icon('film'), h('p', { role: 'status' }, stateOf(detail)),
          make && (!composition || composition.state === 'failed') && h('button', { type: 'button', class: 'button', onclick: make }, t('film.create'))),
        timeline.element),
      pane.element),
    now: () => (video ? video.currentTime : 0),
  };
}

/** The state of a video that cannot be played yet. @param {any} detail @returns {string} */
function stateOf({ recording, composition }) {
  const state = composition?.state === 'failed' ? 'film.failed' : composition?.state === 'running' ? 'film.running' : composition ? 'film.queued' : `recordings.state-${recording.state}`;
  return t(state, { error: composition?.error ?? '', progress: composition?.progress ?? 0 });
}

/** Show the progress of an unfinished recording or video, and rebuild the page when it is complete. @param {string} path @param {string} state @param {import('./main.js').Context} context */
function keepLooking(path, state, context) {
  const timer = setTimeout(async () => {
    const detail = await rest.get(path).catch(() => null);
    if (context.signal.aborted) return;
    if (detail && (detail.recording.state !== state || detail.composition?.file || detail.composition?.state === 'failed')) return context.again();
    const shown = document.querySelector('.watch-none p');
    if (detail && shown) setText(shown, stateOf(detail));
    keepLooking(path, state, context);
  }, AGAIN_MS);
  context.signal.addEventListener('abort', () => clearTimeout(timer));
}

/** @param {string} path @param {import('./main.js').Context} context */
async function compose(path, context) {
  try {
    await rest.post(`${path}/composition`);
    context.again();
  } catch (error) {
    toast(sentenceOf(error), 'problem');
  }
}

/** The tracks of the recording. @param {string} id @param {any} detail */
function tracks(id, detail) {
  const base = `/api/v1/recordings/${encodeURIComponent(id)}/files/`;
  return h('details', { class: 'card' }, h('summary', {}, t('recordings.tracks')), h('ul', { class: 'track-list' }, ...detail.tracks.flatMap((/** @type {any} */ track) => track.files.map((/** @type {string} */ file) => h('li', {},
    h('span', {}, h('strong', {}, track.name), ` · ${t(`recordings.source-${track.source}`)}`, h('span', { class: 'hint' }, ` ${duration(track.duration_ms)} · ${track.codec}`)),
    h('a', { class: 'icon-button', href: `${base}${file}?download`, download: true, target: '_self', title: t('recordings.download'), 'aria-label': t('recordings.download-of', { file }) }, icon('download')),
    linksButton(id, file, file))))));
}

/** Place or release a legal hold. @param {string} path @param {boolean} held @param {import('./main.js').Context} context */
async function hold(path, held, context) {
  try {
    await rest.put(`${path}/hold`, { held });
    context.again();
  } catch (error) {
    toast(sentenceOf(error), 'problem');
  }
}

/** @param {string} id @param {string} title @param {import('./main.js').Context} context */
async function remove(id, title, context) {
  const answer = await ask(t('recordings.delete-ask', { title }), t('recordings.delete-text'), [{ label: t('action.delete'), value: 'delete', class: 'danger' }]);
  if (answer !== 'delete') return;
  try {
    await rest.delete(`/recordings/${encodeURIComponent(id)}`);
    context.navigate('/recordings');
  } catch (error) {
    toast(sentenceOf(error), 'problem');
  }
}
