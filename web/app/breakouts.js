/** Breakout rooms in the participants panel: hosts create, fill and close them; participants enter and leave them. */
import { h, setText } from './dom.js';
import { check, field, form, iconButton } from './fields.js';
import { duration, sentenceOf } from './format.js';
import { icon } from './icons.js';
import { rest } from './session.js';
import { toast } from './toasts.js';
import { t } from './words.js';

const ASK_MS = 3_000;
const COUNTDOWN_SECONDS = 30;

export class Breakouts {
  element = h('div', { class: 'breakouts', hidden: true });
  banner;
  /** A host's message to all rooms: it stays until it is read, since notices of people who come and go would push it out. */
  message;
  #room;
  #meeting;
  #signal;
  #shown = '';
  #notice = h('p');
  #said = h('p');
  #heard = '';

  /**
   * @param {import('/sdk/parley.js').Room} room @param {string} meeting of the main room
   * @param {{signal: AbortSignal}} options
   */
  constructor(room, meeting, { signal }) {
    this.#room = room;
    this.#meeting = meeting;
    this.#signal = signal;
    this.banner = h('div', { class: 'banner banner-breakout', role: 'status', hidden: true }, this.#notice);
    this.message = h('div', { class: 'banner banner-message', role: 'status', hidden: true }, icon('chat'), this.#said,
      iconButton('close', t('action.close'), { onclick: () => (this.message.hidden = true) }));
    room.addEventListener('closing', () => this.#count(), { signal });
    room.addEventListener('moving', ({ detail }) => toast(t('breakout.moving', { room: detail.title })), { signal });
    room.addEventListener('announcement', ({ detail }) => this.#tell(detail), { signal });
    const timer = setInterval(() => void this.#ask(), ASK_MS);
    const clock = setInterval(() => this.#count(), 500);
    signal.addEventListener('abort', () => [timer, clock].forEach(clearInterval));
    this.#count();
  }

  /** Refresh immediately, for example because the panel was opened. */
  refresh() {
    void this.#ask();
  }

  /** Show a message, once: it is repeated to those who enter another room. @param {{id: string, name: string, text: string}} message */
  #tell({ id, name, text }) {
    if (id === this.#heard) return;
    this.#heard = id;
    setText(this.#said, t('breakout.announced', { name, text }));
    this.message.hidden = false;
  }

  #count() {
    const { closesAt } = this.#room;
    this.banner.hidden = closesAt === 0;
    if (closesAt) setText(this.#notice, t('breakout.closes', { time: duration(closesAt - this.#room.now()) }));
  }

  async #ask() {
    if (this.#room.connection.state !== 'connected' || !this.element.isConnected || this.element.parentElement?.offsetParent === null && this.#shown) return;
    try {
      this.#show(await rest.breakouts(this.#meeting));
    } catch {
      // The next poll follows soon; a lost connection is shown elsewhere.
    }
  }

  /** @param {any} state */
  #show(state) {
    const { host } = this.#room.grants;
    const rooms = state.rooms.filter((/** @type {any} */ room) => room.closes_at === null);
    // Rebuilding would lose the input that has the focus or is under the pointer.
    const key = JSON.stringify([host, state.open, state.place, state.may_choose, state.may_return, rooms, host && this.#names()]);
    if (this.#shown === key) return;
    this.#shown = key;
    const parts = [h('h3', {}, t('breakout.title'))];
    if (rooms.length > 0 && (state.open || host)) parts.push(...rooms.map((/** @type {any} */ room) => this.#row(state, room)));
    if (state.place && (host || state.may_return)) parts.push(this.#button(t('breakout.back'), 'return', () => this.#act('move', {})));
    if (host) parts.push(...(state.open && rooms.length > 0 ? this.#ofOpen() : this.#toOpen(rooms)));
    this.element.hidden = parts.length === 1;
    this.element.replaceChildren(...parts);
  }

  #names() {
    return [...this.#room.roster.participants.values()].filter(({ id }) => id !== this.#room.participant).map(({ id, name }) => [id, name]);
  }

  /** @param {any} state @param {any} room */
  #row(state, room) {
    const { host } = this.#room.grants;
    const may = state.open && state.place !== room.id && (host || state.may_choose);
    const count = state.open ? room.present : room.participants.length;
    return h('div', { class: 'lobby-row', 'data-breakout': room.title }, h('span', {}, t('breakout.row', { room: room.title, count })),
      host && state.place === null && this.#assign(room),
      may && this.#button(t('breakout.enter'), 'enter', () => this.#act('move', { room: room.id })));
  }

  /** A menu of participants of the main room; a choice moves the participant immediately. @param {any} room */
  #assign(room) {
    const select = h('select', { class: 'input', 'aria-label': t('breakout.assign-to', { room: room.title }) },
      h('option', { value: '' }, t('breakout.assign')), ...this.#names().map(([id, name]) => h('option', { value: id }, name)));
    select.addEventListener('change', () => void this.#act('move', { participant: select.value, room: room.id }));
    return select;
  }

  #ofOpen() {
    const text = field(t('breakout.message'), { name: 'announcement', required: true, maxlength: 1000, autocomplete: 'off' });
    const say = form({
      action: t('action.send'),
      class: 'inline',
      submit: async () => {
        await rest.actOnBreakouts(this.#meeting, 'announce', { text: text.input.value });
        text.input.value = '';
      },
    }, text.element);
    const close = this.#button(t('breakout.close', { seconds: COUNTDOWN_SECONDS }), 'close', () => this.#act('close', { countdown_seconds: COUNTDOWN_SECONDS }));
    return [say, close, this.#button(t('breakout.close-now'), 'close-now', () => this.#act('close', { countdown_seconds: 0 }))];
  }

  /** @param {any[]} rooms */
  #toOpen(rooms) {
    const count = field(t('breakout.count'), { name: 'breakouts', type: 'number', min: 1, max: 50, value: 2, required: true });
    const automatic = check(t('breakout.automatic'), '', true);
    const choose = check(t('breakout.choose'), '', false);
    const make = form({
      action: t('breakout.create'),
      submit: async () => {
        const titles = Array.from({ length: Number(count.input.value) }, (_, index) => ({ title: t('breakout.room', { number: index + 1 }) }));
        await rest.actOnBreakouts(this.#meeting, '', { rooms: titles, automatic: automatic.input.checked, may_choose: choose.input.checked });
        await this.#ask();
      },
    }, count.element, automatic.element, choose.element);
    return [...(rooms.length > 0 ? [this.#button(t('breakout.open'), 'open', () => this.#act('open'))] : []), make];
  }

  /** @param {string} label @param {string} action @param {() => unknown} onclick */
  #button(label, action, onclick) {
    return h('button', { type: 'button', class: 'button small', 'data-breakouts': action, onclick: () => void onclick() }, label);
  }

  /** @param {'open'|'close'|'move'|'announce'|''} verb @param {object} [body] */
  async #act(verb, body) {
    try {
      await rest.actOnBreakouts(this.#meeting, verb, body);
    } catch (error) {
      if (!this.#signal.aborted) toast(sentenceOf(error), 'problem');
    }
    await this.#ask();
  }
}
