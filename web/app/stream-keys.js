/** The dialog in which hosts add and delete stream keys: of encoders (WHIP, RTMP), of players (WHEP), and of URLs that are read. */
import { shownSecret } from './copy-link.js';
import { show } from './dialogs.js';
import { h, setText } from './dom.js';
import { choice, field, form } from './fields.js';
import { dateTime, sentenceOf } from './format.js';
import { rest } from './session.js';
import { toast } from './toasts.js';
import { t } from './words.js';

const ROLES = ['publish', 'url', 'watch'];
const REFRESH_MS = 2000;

/** @param {string} meeting */
export function showStreamKeys(meeting) {
  const base = `/meetings/${encodeURIComponent(meeting)}/stream-keys`;
  const list = h('ul', { class: 'link-list' });
  const fresh = h('div', { role: 'status' });
  const name = field(t('stream-keys.name'), { name: 'stream-key', maxlength: 200, required: true, autocomplete: 'off', placeholder: t('stream-keys.example') });
  const role = choice(t('stream-keys.role'), 'play', () => follow());
  role.select.append(...ROLES.map((value) => h('option', { value }, t(`stream-keys.role-${value}`))));

  const source = field(t('stream-keys.source'), { name: 'stream-source', type: 'url', maxlength: 2000, autocomplete: 'off', placeholder: t('stream-keys.source-example'), hint: t('stream-keys.source-hint') });
  let drawn = '';

  /** Show the URL's field if a URL is to be read. */
  function follow() {
    source.element.hidden = role.select.value !== 'url';
    source.input.required = !source.element.hidden;
  }

  async function load(quietly = false) {
    try {
      draw((await rest.get(base)).keys);
    } catch (error) {
      if (!quietly) toast(sentenceOf(error), 'problem');
    }
  }

  /** Redraw the list only if it changed, so that no button moves or loses the focus. @param {any[]} keys */
  function draw(keys) {
    const ids = JSON.stringify(keys.map(({ id }) => id));
    if (ids !== drawn) {
      drawn = ids;
      list.replaceChildren(...(keys.length > 0 ? keys.map(row) : [h('li', { class: 'hint' }, t('stream-keys.none'))]));
    }
    for (const key of keys) {
      const line = list.querySelector(`[data-key="${key.id}"] .hint`);
      if (line) setText(line, stateOf(key));
    }
  }

  /** @param {any} key */
  function stateOf({ state, source_url }) {
    if (!state) return source_url ? t('stream-keys.phase-waiting') : '';
    const values = { time: dateTime(state.since), reason: state.error, rate: (state.bits_per_second / 1e6).toFixed(1), size: `${state.width} × ${state.height}`, fps: Math.round(state.frames_per_second) };
    return [t(`stream-keys.phase-${state.phase}`, values), state.phase !== 'live' && state.error, state.dropped > 0 && t('stream-keys.dropped', { count: state.dropped })].filter(Boolean).join(' ');
  }

  /** @param {any} key */
  function row(key) {
    const used = key.last_used_at ? t('stream-keys.used', { time: dateTime(key.last_used_at) }) : t('stream-keys.used-never');
    const text = key.source_url ? t('stream-keys.reads', { name: key.name, url: key.source_url }) : t(key.role === 'publish' ? 'stream-keys.sends' : 'stream-keys.plays', { name: key.name, used });
    return h('li', { 'data-key': key.id }, h('span', {}, text, ' ', h('span', { class: 'hint' })),
      h('button', { type: 'button', class: 'button danger', onclick: () => void remove(key) }, t('action.delete')));
  }

  /** @param {any} key */
  async function remove(key) {
    try {
      await rest.delete(`${base}/${encodeURIComponent(key.id)}`);
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    }
    await load();
  }

  async function make() {
    const reads = role.select.value === 'url';
    const key = await rest.post(base, { name: name.input.value.trim(), role: reads ? 'publish' : role.select.value, ...(reads ? { source_url: source.input.value.trim() } : {}) });
    name.input.value = source.input.value = '';
    const url = new URL(key.url, location.href).href;
    fresh.replaceChildren(...(reads ? [] : [h('p', {}, t('stream-keys.fresh')),
      shownSecret(t('stream-keys.url'), url),
      ...key.rtmp_urls.map((/** @type {string} */ one) => shownSecret(t('stream-keys.rtmp'), one)),
      ...key.srt_urls.map((/** @type {string} */ one) => shownSecret(t('stream-keys.srt'), `${one}?streamid=${key.secret}`)),
      shownSecret(t('stream-keys.secret'), key.secret)]));
    await load();
  }

  follow();
  void load();
  const timer = setInterval(() => void load(true), REFRESH_MS);
  const shown = show((dialog) => [
    h('h2', {}, t('stream-keys.title')),
    h('p', {}, t('stream-keys.text')),
    list, fresh,
    form({ submit: make, action: t('stream-keys.create') }, name.element, role.element, source.element),
    h('div', { class: 'row-actions' }, h('button', { type: 'button', class: 'button', onclick: () => dialog.close('') }, t('action.close'))),
  ]);
  void shown.finally(() => clearInterval(timer));
  return shown;
}
