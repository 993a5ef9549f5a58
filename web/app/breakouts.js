/** Breakout rooms in the participants panel: hosts create, fill and close them; participants enter and leave them. */
import { BreakoutBoard } from './breakout-board.js';
import { arrange, h, setText } from './dom.js';
import { check, field, form, iconButton } from './fields.js';
import { clock, duration, sentenceOf } from './format.js';
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
  #title = h('h3', {}, t('breakout.title'));
  #end = h('p', { class: 'hint' });
  #board;
  #say;
  #make;
  /** The main room's participant of this page: in a breakout room it has another. */
  #own = '';

  /**
   * @param {import('/sdk/parley.js').Room} room @param {string} meeting of the main room
   * @param {{signal: AbortSignal}} options
   */
  constructor(room, meeting, { signal }) {
    this.#room = room;
    this.#meeting = meeting;
    this.#signal = signal;
    this.#board = new BreakoutBoard(() => this.#own, (person, to) => void this.#act('move', { participant: person.id, room: to }));
    this.#say = this.#sayForm();
    this.#make = this.#makeForm();
    this.banner = h('div', { class: 'banner banner-breakout', role: 'status', hidden: true }, this.#notice);
    this.message = h('div', { class: 'banner banner-message', role: 'status', hidden: true }, icon('chat'), this.#said,
      iconButton('close', t('action.close'), { onclick: () => (this.message.hidden = true) }));
    room.addEventListener('closing', () => this.#count(), { signal });
    room.addEventListener('moving', ({ detail }) => toast(t('breakout.moving', { room: detail.title })), { signal });
    room.addEventListener('announcement', ({ detail }) => this.#tell(detail), { signal });
    const timer = setInterval(() => void this.#ask(), ASK_MS);
    const counting = setInterval(() => this.#count(), 500);
    signal.addEventListener('abort', () => [timer, counting].forEach(clearInterval));
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
    if (state.place === null) this.#own = this.#room.participant;
    // Rebuilding would lose the button that has the focus or is under the pointer.
    const key = JSON.stringify([host, state.open, state.place, state.may_choose, state.may_return, state.ends_at, rooms, state.people]);
    if (this.#shown === key || this.#board.isBusy) return;
    this.#shown = key;
    // The forms stay in place, so that nobody loses what they write.
    const parts = [this.#title];
    if (state.ends_at) {
      setText(this.#end, t('breakout.ends', { time: clock(state.ends_at) }));
      parts.push(this.#end);
    }
    if (host && rooms.length > 0) {
      this.#board.show([this.#main(state), ...rooms.map((/** @type {any} */ room) => ({ id: room.id, title: room.title, count: countOf(state, room), enter: this.#enter(state, room) }))], state.people);
      parts.push(this.#board.element);
    } else if (state.open) parts.push(...rooms.map((/** @type {any} */ room) => this.#row(state, room)));
    if (state.place && (host || state.may_return)) parts.push(this.#button(t('breakout.back'), 'return', () => this.#act('move', {})));
    if (host && state.open && rooms.length > 0) {
      parts.push(this.#say, this.#button(t('breakout.close', { seconds: COUNTDOWN_SECONDS }), 'close', () => this.#act('close', { countdown_seconds: COUNTDOWN_SECONDS })),
        this.#button(t('breakout.close-now'), 'close-now', () => this.#act('close', { countdown_seconds: 0 })));
    } else if (host) {
      if (rooms.length > 0) parts.push(this.#button(t('breakout.open'), 'open', () => this.#act('open')));
      parts.push(this.#make);
    }
    this.element.hidden = parts.length === 1;
    arrange(this.element, parts);
  }

  /** @param {any} state */
  #main(state) {
    const people = state.people.filter((/** @type {any} */ { room, here }) => room === null && here);
    return { id: null, title: t(state.open ? 'breakout.main' : 'breakout.unassigned'), count: people.length, enter: /** @type {const} */ (false) };
  }

  /** @param {any} state @param {any} room */
  #row(state, room) {
    return h('div', { class: 'lobby-row', 'data-breakout': room.title }, h('span', {}, t('breakout.row', { room: room.title, count: countOf(state, room) })), this.#enter(state, room));
  }

  /** @param {any} state @param {any} room */
  #enter(state, room) {
    const may = state.open && state.place !== room.id && (this.#room.grants.host || state.may_choose);
    return may && this.#button(t('breakout.enter'), 'enter', () => this.#act('move', { room: room.id }));
  }

  #sayForm() {
    const text = field(t('breakout.message'), { name: 'announcement', required: true, maxlength: 1000, autocomplete: 'off' });
    return form({
      action: t('action.send'),
      class: 'inline',
      submit: async () => {
        await rest.actOnBreakouts(this.#meeting, 'announce', { text: text.input.value });
        text.input.value = '';
      },
    }, text.element);
  }

  #makeForm() {
    const count = field(t('breakout.count'), { name: 'breakouts', type: 'number', min: 1, max: 50, value: 2, required: true });
    const minutes = field(t('breakout.minutes'), { hint: t('breakout.minutes-hint'), name: 'minutes', type: 'number', min: 1, max: 1440 });
    const automatic = check(t('breakout.automatic'), '', true);
    const choose = check(t('breakout.choose'), '', false);
    return form({
      action: t('breakout.create'),
      submit: async () => {
        const titles = Array.from({ length: Number(count.input.value) }, (_, index) => ({ title: t('breakout.room', { number: index + 1 }) }));
        await rest.actOnBreakouts(this.#meeting, '', { rooms: titles, automatic: automatic.input.checked, may_choose: choose.input.checked, minutes: Number(minutes.input.value) });
        await this.#ask();
      },
    }, count.element, minutes.element, automatic.element, choose.element);
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

/** The people in a room or, before the rooms are open, assigned to it. @param {any} state @param {any} room @returns {number} */
function countOf(state, room) {
  return state.open ? room.present : room.participants.length;
}
