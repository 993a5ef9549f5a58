/**
 * Carets of the others in a shared text: sent over data channels, and drawn with names on a layer over the text area, which
 * wraps and scrolls like it. Between messages, changes of the text move them along.
 */
import { h } from './dom.js';
import { hue } from './format.js';

const TOPIC = 'parley-caret';
const TELL_MS = 120;
/** A caret is sent again after this time, and forgotten after twice as much without news. */
const AGAIN_MS = 20_000;

/** Where a place in a text is after a change. @param {number} at @param {{retain?: number, insert?: string, delete?: number}[]} delta @returns {number} */
export function moved(at, delta) {
  let from = 0;
  let to = at;
  for (const { retain = 0, insert = '', delete: gone = 0 } of delta) {
    if (from > to) break;
    from += retain;
    if (insert && from <= to) to += insert.length;
    if (gone && from < to) to -= Math.min(gone, to - from);
    from += insert.length;
  }
  return to;
}

export class Carets {
  /** The layer. */
  element = h('div', { class: 'input carets', 'aria-hidden': 'true' });
  #room;
  #input;
  /** By participant. @type {Map<string, {at: number, heard: number}>} */
  #others = new Map();
  #drawing = false;
  /** What was sent last; -1: nowhere. */
  #told = -1;
  #toldAt = 0;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;

  /** @param {import('/sdk/parley.js').Room} room @param {HTMLTextAreaElement} input @param {AbortSignal} signal */
  constructor(room, input, signal) {
    this.#room = room;
    this.#input = input;
    room.addEventListener('data', ({ detail }) => detail.topic === TOPIC && this.#take(detail.participant, detail.payload), { signal });
    room.addEventListener('participant-left', ({ detail }) => this.#others.delete(detail.id) && this.draw(), { signal });
    for (const type of ['selectionchange', 'focus', 'blur', 'input']) input.addEventListener(type, () => this.#later(), { signal });
    document.addEventListener('selectionchange', () => document.activeElement === input && this.#later(), { signal });
    input.addEventListener('scroll', () => (this.element.scrollTop = input.scrollTop), { signal });
    const looking = setInterval(() => this.#look(), AGAIN_MS / 4);
    signal.addEventListener('abort', () => {
      clearInterval(looking);
      clearTimeout(this.#timer);
    });
  }

  /** The text changed. @param {any[]} delta */
  shift(delta) {
    for (const caret of this.#others.values()) caret.at = moved(caret.at, delta);
    this.draw();
  }

  /** Draw soon: several changes at once are drawn together. */
  draw() {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.#paint();
    });
  }

  #paint() {
    const text = this.#input.value;
    const carets = [...this.#others].sort(([, one], [, other]) => one.at - other.at);
    const parts = [];
    let from = 0;
    for (const [id, { at }] of carets) {
      const name = this.#room.roster.participants.get(id)?.name;
      if (name === undefined) continue;
      const place = Math.min(at, text.length);
      const mark = h('span', { class: 'caret' }, h('span', { class: 'caret-name' }, name));
      mark.style.setProperty('--hue', String(hue(id)));
      parts.push(text.slice(from, place), mark);
      from = place;
    }
    this.element.replaceChildren(...parts, parts.length > 0 ? text.slice(from) : '');
    this.element.scrollTop = this.#input.scrollTop;
  }

  #later() {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#tell();
    }, TELL_MS);
  }

  /** @param {boolean} [again] even if nothing changed */
  #tell(again = false) {
    const at = document.activeElement === this.#input && !this.#input.readOnly ? this.#input.selectionEnd : -1;
    if ((at === this.#told && !again) || !this.#room.participant || !this.#room.grants.data) return;
    this.#told = at;
    this.#toldAt = performance.now();
    // A caret that is lost is soon replaced.
    void this.#room.publishData(String(at), { topic: TOPIC, reliable: at < 0 }).catch(() => undefined);
  }

  /** @param {string} participant @param {Uint8Array} payload */
  #take(participant, payload) {
    const text = payload.length < 12 ? new TextDecoder().decode(payload) : '';
    if (!/^(-1|\d+)$/.test(text) || !this.#room.roster.participants.has(participant)) return;
    if (text === '-1') this.#others.delete(participant);
    else this.#others.set(participant, { at: Number(text), heard: performance.now() });
    this.draw();
  }

  #look() {
    const now = performance.now();
    for (const [id, { heard }] of this.#others) if (now - heard > 2 * AGAIN_MS) this.#others.delete(id);
    if (this.#told >= 0 && now - this.#toldAt > AGAIN_MS) this.#tell(true);
    this.draw();
  }
}
