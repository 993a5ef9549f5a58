/** `/recordings`: every recording that the account may see, searched by title, name and what was said. */
import { accountTop } from './account-top.js';
import { h } from './dom.js';
import { onTyped } from './fields.js';
import { dateTime, duration, sentenceOf } from './format.js';
import { icon } from './icons.js';
import { currentUser, rest } from './session.js';
import { toast } from './toasts.js';
import { t } from './words.js';

/** Recordings that are loaded at a time. */
const PAGE = 60;

/** @param {HTMLElement} page @param {import('./main.js').Context} context */
export async function showAllRecordings(page, context) {
  const user = await currentUser();
  if (!user) return void (!context.signal.aborted && context.navigate('/?next=/recordings'));
  const list = h('ul', { class: 'film-grid' });
  const words = h('input', { class: 'input', type: 'search', maxlength: 200, autocomplete: 'off', 'aria-label': t('recordings.search'), placeholder: t('recordings.search') });
  const older = h('button', { type: 'button', class: 'button', hidden: true, onclick: () => void more() }, t('recordings.older'));
  let loads = 0;
  /** The cursor of the next page, '' for none. */
  let following = '';
  /** @param {string} text the search @param {string} [cursor] */
  const fetched = async (text, cursor) => {
    const query = new URLSearchParams({ limit: String(PAGE), ...(text ? { search: text, sort: '-relevance' } : {}), ...(cursor ? { cursor } : {}) });
    const { recordings, next } = await rest.get(`/recordings?${query}`);
    return { recordings, next: next ?? '' };
  };
  /** @param {string} next */
  const offer = (next) => {
    following = next;
    older.hidden = !next;
  };
  const load = async () => {
    loads += 1;
    const mine = loads;
    const text = words.value.trim();
    try {
      const { recordings, next } = await fetched(text);
      if (context.signal.aborted || mine !== loads) return;
      list.replaceChildren(...(recordings.length > 0 ? recordings.map(card) : [h('li', { class: 'nothing' }, icon('film'), h('p', {}, t(text ? 'recordings.no-match' : 'recordings.first')))]));
      offer(next);
    } catch (error) {
      if (mine === loads) list.replaceChildren(h('li', { class: 'problem' }, sentenceOf(error)));
    }
  };
  const more = async () => {
    const mine = loads;
    older.disabled = true;
    try {
      const { recordings, next } = await fetched(words.value.trim(), following);
      if (context.signal.aborted || mine !== loads) return;
      list.append(...recordings.map(card));
      offer(next);
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    } finally {
      older.disabled = false;
    }
  };
  onTyped(words, context.signal, load);
  page.replaceChildren(
    accountTop(context, user),
    h('main', { class: 'watch' },
      h('header', { class: 'watch-head' }, h('h1', {}, t('recordings.title')), h('div', { class: 'search' }, icon('search'), words)), list, older));
  await load();
}

/** @param {any} recording */
function card(recording) {
  const finished = recording.state === 'ready';
  return h('li', { class: 'film-card' }, h('a', { href: `/recordings/${encodeURIComponent(recording.id)}` },
    h('div', { class: 'film-still' }, still(recording) || icon('film'),
      recording.duration_ms !== null && h('span', { class: 'film-length' }, duration(recording.duration_ms))),
    h('h2', {}, recording.title),
    h('p', { class: 'hint' }, dateTime(recording.started_at),
      recording.relevance >= 1 && ` · ${t('recordings.matches', { count: Math.floor(recording.relevance) })}`, !finished && ' ',
      !finished && h('span', { class: `status status-${recording.state}` }, t(`recordings.state-${recording.state}`)))));
}

/** A still of the video: once it is near the viewport, the browser reads as much of the file as one frame needs. @param {any} recording */
function still(recording) {
  if (!recording.film) return null;
  const at = Math.min(10, (recording.duration_ms ?? 0) / 3000).toFixed(1);
  const video = h('video', { preload: 'none', muted: true, playsinline: true, tabindex: -1, 'aria-hidden': 'true' });
  const near = new IntersectionObserver(([entry]) => {
    if (!entry.isIntersecting) return;
    near.disconnect();
    video.preload = 'metadata';
    video.src = `/api/v1/recordings/${encodeURIComponent(recording.id)}/files/${recording.film}#t=${at}`;
  }, { rootMargin: '200px' });
  near.observe(video);
  return video;
}
