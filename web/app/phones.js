/** Telephones in the dialog for inviting: numbers and PIN for callers, and calls that hosts place. Loaded for hosts only. */
import { h, setText } from './dom.js';
import { field, form } from './fields.js';
import { sentenceOf } from './format.js';
import { rest } from './session.js';
import { toast } from './toasts.js';
import { t } from './words.js';

const REFRESH_MS = 1500;
/** Reasons with words of their own; others are shown as a failure. */
const REASONS = ['hung_up', 'hung_up_by_host', 'busy', 'declined', 'no_answer', 'no_such_number', 'removed', 'denied'];

/** Fill a part of the dialog, if the server has telephones. @param {HTMLElement} holder @param {string} meeting */
export async function fillPhones(holder, meeting) {
  const base = `/meetings/${encodeURIComponent(meeting)}/phone`;
  const { numbers, pin, may_dial } = await rest.get(base);
  if (numbers.length === 0 && !may_dial) return;
  holder.append(h('h3', {}, t('phones.title')));
  if (numbers.length > 0) {
    holder.append(h('p', {}, t('phones.access', { numbers: numbers.join(', '), pin: pin.replace(/(...)(?=.)/g, '$1\u00a0') })));
  }
  if (may_dial) holder.append(...calling(base, holder));
}

/** The form that calls a number, and the calls under way. @param {string} base @param {HTMLElement} holder */
function calling(base, holder) {
  const list = h('ul', { class: 'link-list' });
  const number = field(t('phones.number'), { name: 'phone-number', type: 'tel', required: true, maxlength: 40, autocomplete: 'off', placeholder: '+44 20 7946 0000' });
  const name = field(t('phones.name'), { name: 'phone-name', maxlength: 200, autocomplete: 'off' });
  const begun = Date.now();
  let drawn = '';

  async function load() {
    const { calls } = await rest.get(`${base}/calls`);
    draw(calls.filter((/** @type {any} */ call) => !call.ended_at || Date.parse(call.ended_at) > begun));
  }

  /** Redraw the list only if calls came or ended, so that no button moves or loses the focus. @param {any[]} calls */
  function draw(calls) {
    const ids = JSON.stringify(calls.map(({ id, ended_at }) => [id, ended_at]));
    if (ids !== drawn) {
      drawn = ids;
      list.replaceChildren(...calls.map(row));
    }
    for (const call of calls) {
      const line = list.querySelector(`[data-call="${call.id}"] .hint`);
      if (line) setText(line, stateOf(call));
    }
  }

  /** @param {any} call */
  function stateOf({ phase, reason }) {
    if (phase !== 'ended') return t(`phones.phase-${phase}`);
    return t(`phones.ended-${REASONS.includes(reason) ? reason : 'failed'}`);
  }

  /** @param {any} call */
  function row({ id, name: shown, number: dialled, ended_at }) {
    const label = shown.includes('…') ? dialled : `${shown} (${dialled})`;
    return h('li', { 'data-call': id }, h('span', {}, label, ' ', h('span', { class: 'hint', role: 'status' })),
      !ended_at && h('button', { type: 'button', class: 'button danger', onclick: () => void hangUp(id) }, t('phones.hang-up')));
  }

  /** @param {string} id */
  async function hangUp(id) {
    try {
      await rest.delete(`${base}/calls/${encodeURIComponent(id)}`);
      await load();
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    }
  }

  async function dial() {
    await rest.post(`${base}/calls`, { number: number.input.value, ...(name.input.value.trim() ? { name: name.input.value.trim() } : {}) });
    number.input.value = name.input.value = '';
    await load();
  }

  const timer = setInterval(() => {
    if (holder.isConnected) void load().catch(() => undefined);
    else clearInterval(timer);
  }, REFRESH_MS);
  void load().catch(() => undefined);
  return [list, form({ submit: dial, action: t('phones.call'), manner: '' }, number.element, name.element)];
}
