/** The dialog in which hosts start and stop a live broadcast, and see its outputs and their state. */
import { copyText } from './copy-link.js';
import { show } from './dialogs.js';
import { h, setText } from './dom.js';
import { choice, field, form } from './fields.js';
import { dateTime, sentenceOf } from './format.js';
import { rest } from './session.js';
import { toast } from './toasts.js';
import { known, t } from './words.js';

const REFRESH_MS = 2000;
const LAYOUTS = ['speaker', 'grid', 'screen', 'single'];
const KINDS = ['rtmp', 'srt', 'hls'];

/** @param {string} meeting @param {import('/sdk/parley.js').Room} room */
export function showBroadcast(meeting, room) {
  const base = `/meetings/${encodeURIComponent(meeting)}/broadcast`;
  const state = h('p', { class: 'live-state', role: 'status' });
  const list = h('ul', { class: 'link-list outputs' });
  const layout = choice(t('live.layout'), 'grid', () => undefined);
  layout.select.append(...LAYOUTS.map((value) => h('option', { value }, t(`film.layout-${value}`))));
  const toggle = h('button', { type: 'button', class: 'button primary', 'data-live': 'toggle', onclick: () => void change() });
  const kind = choice(t('live.kind'), 'globe', () => follow());
  kind.select.append(...KINDS.map((value) => h('option', { value }, t(`live.kind-${value}`))));
  const name = field(t('live.name'), { name: 'output-name', maxlength: 200, required: true, autocomplete: 'off', placeholder: t('live.name-example') });
  const url = field(t('live.url'), { name: 'output-url', maxlength: 500, autocomplete: 'off', hint: t('live.url-hint') });
  const key = field(t('live.key'), { name: 'output-key', maxlength: 512, type: 'password', autocomplete: 'off', hint: t('live.key-hint') });
  let live = false;
  /** The outputs in the list: it is redrawn only if they change, so that the focus is kept. */
  let drawn = '';

  function follow() {
    const needs = kind.select.value !== 'hls';
    url.input.placeholder = t(`live.url-example-${kind.select.value === 'srt' ? 'srt' : 'rtmp'}`);
    url.element.hidden = key.element.hidden = !needs;
    url.input.required = needs;
  }

  async function load() {
    try {
      draw(await rest.get(base));
    } catch (error) {
      setText(state, sentenceOf(error));
    }
  }

  /** @param {any} broadcast */
  function draw(broadcast) {
    live = broadcast.started_at !== null;
    state.replaceChildren(
      live ? h('span', { class: 'status status-live' }, t('live.badge')) : '',
      room.recording.active ? h('span', { class: 'status status-live' }, t('live.badge-recording')) : '',
      h('span', {}, live ? t('live.since', { time: dateTime(broadcast.started_at) }) : t('live.off')),
      ...(broadcast.problem ? [h('span', { class: 'problem' }, broadcast.problem)] : []));
    layout.element.hidden = live;
    setText(toggle, t(live ? 'live.stop' : 'live.start'));
    toggle.classList.toggle('danger', live);
    toggle.classList.toggle('primary', !live);
    toggle.disabled = !live && broadcast.outputs.length === 0;
    const key_ = JSON.stringify(broadcast.outputs.map((/** @type {any} */ output) => [output.id, output.watch_url]));
    if (key_ !== drawn) {
      drawn = key_;
      list.replaceChildren(...(broadcast.outputs.length > 0 ? broadcast.outputs.map(row) : [h('li', { class: 'hint' }, t('live.none'))]));
    }
    for (const output of broadcast.outputs) {
      const line = list.querySelector(`[data-output="${output.id}"] .hint`);
      if (line) setText(line, health(output));
    }
  }

  /** @param {any} output */
  function row(output) {
    const link = output.watch_url && new URL(output.watch_url, location.href).href;
    return h('li', { 'data-output': output.id },
      h('span', {}, h('strong', {}, output.name), ' ', output.url || t('live.kind-hls'), h('span', { class: 'hint' })),
      link && h('button', { type: 'button', class: 'button small', onclick: () => void copyText(link, t('copied.link')) }, t('live.copy')),
      h('button', { type: 'button', class: 'button small danger', 'aria-label': t('live.delete', { name: output.name }), onclick: () => void remove(output) }, t('action.delete')));
  }

  async function change() {
    toggle.disabled = true;
    try {
      draw(await (live ? rest.post(`${base}/stop`, {}) : rest.post(`${base}/start`, { layout: layout.select.value })));
    } catch (error) {
      toast(sentenceOf(error), 'problem');
      await load();
    }
  }

  /** @param {any} output */
  async function remove(output) {
    try {
      await rest.delete(`${base}/outputs/${encodeURIComponent(output.id)}`);
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    }
    await load();
  }

  async function add() {
    const needs = kind.select.value !== 'hls';
    const target = needs ? { url: url.input.value.trim(), ...(key.input.value ? { key: key.input.value.trim() } : {}) } : {};
    draw(await rest.post(`${base}/outputs`, { kind: kind.select.value, name: name.input.value.trim(), ...target }));
    for (const { input } of [name, url, key]) input.value = '';
  }

  follow();
  void load();
  const timer = setInterval(() => void load(), REFRESH_MS);
  const shown = show((dialog) => [
    h('h2', {}, t('live.title')),
    h('p', {}, t('live.text')),
    state, list,
    h('div', { class: 'form' }, layout.element),
    h('div', { class: 'row-actions' }, toggle),
    h('details', { class: 'more-options' }, h('summary', {}, t('live.add')),
      form({ submit: add, action: t('live.add-action'), manner: '' }, kind.element, name.element, url.element, key.element)),
    h('div', { class: 'row-actions' }, h('button', { type: 'button', class: 'button', onclick: () => dialog.close('') }, t('action.close'))),
  ]);
  return shown.finally(() => clearInterval(timer));
}

/** Describe an output's state. @param {any} output */
function health(output) {
  if (!output.phase) return '';
  const words = t(known(`live.phase-${output.phase}`) ? `live.phase-${output.phase}` : 'live.phase-waiting', {
    time: dateTime(output.since),
    rate: (output.bits_per_second / 1e6).toFixed(1),
    delay: (output.delay_ms / 1000).toFixed(1),
    reason: output.error,
  });
  return output.dropped > 0 && output.phase === 'live' ? t('live.dropped', { state: words, count: output.dropped }) : words;
}
