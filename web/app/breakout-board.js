/**
 * Who is in which breakout room, for hosts: people move by drag, on a touch screen after a long press, or by the menu of their row.
 */
import { h, setText } from './dom.js';
import { hue } from './format.js';
import { face } from './avatars.js';
import { menu } from './menu.js';
import { t } from './words.js';

/** A drag shorter than this (px) counts as a click; a finger that moves further before the long press scrolls. */
const STILL = 6;
const LONG_PRESS_MS = 400;
/** The distance (px) from an edge of the panel at which a drag scrolls it, and how far in each frame. */
const EDGE = 48;
const SCROLL = 8;

/** @typedef {{id: string, name: string, room: string|null, here: boolean}} Person `here` if they are in that room now */
/** @typedef {{id: string|null, title: string, count: number, enter: HTMLElement|false}} Room `id` is null for the main room */

export class BreakoutBoard {
  element = h('div', { class: 'breakout-board' });
  #own;
  #move;
  #said = h('p', { class: 'unseen', role: 'status' });
  /** @type {Room[]} */
  #rooms = [];
  /** Ends the drag that is under way. @type {AbortController|null} */
  #drag = null;

  /** @param {() => string} own the participant of this page in the main room @param {(person: Person, room: string|null) => unknown} move */
  constructor(own, move) {
    this.#own = own;
    this.#move = move;
    // A finger that drags must not scroll; this can only be said before the browser begins to.
    this.element.addEventListener('touchmove', (/** @type {TouchEvent} */ event) => this.#drag && event.cancelable && event.preventDefault(), { passive: false });
  }

  /** True while a person is being moved: rebuilding the board would end it. */
  get isBusy() {
    return this.#drag !== null || this.element.querySelector('[aria-expanded=true]') !== null;
  }

  /** @param {Room[]} rooms the main room first @param {Person[]} people */
  show(rooms, people) {
    this.#rooms = rooms;
    const focused = document.activeElement?.closest('[data-person]');
    const held = focused instanceof HTMLElement && this.element.contains(focused) ? focused.dataset.person : '';
    this.element.replaceChildren(
      h('p', { class: 'hint' }, t('breakout.drag')), this.#said,
      ...rooms.map(({ id, title, count, enter }) => h('section', { class: 'breakout-room', 'data-breakout': title, 'data-room': id ?? '', 'aria-label': title },
        h('div', { class: 'lobby-row' }, h('span', {}, t('breakout.row', { room: title, count })), enter),
        h('ul', {}, ...people.filter((person) => person.room === id).map((person) => this.#row(person))))));
    if (held) this.element.querySelector(`[data-person="${CSS.escape(held)}"] button`)?.focus();
  }

  /** @param {Person} person */
  #row(person) {
    const { id, name, room, here } = person;
    const avatar = h('span', { class: 'avatar avatar-small', 'aria-hidden': 'true' });
    avatar.style.setProperty('--hue', String(hue(id)));
    face(avatar, name, '');
    const others = this.#rooms.filter((one) => one.id !== room);
    return h('li', {
      class: here ? 'breakout-person' : 'breakout-person away', 'data-person': id,
      onpointerdown: (/** @type {PointerEvent} */ event) => this.#press(event, person),
      oncontextmenu: (/** @type {Event} */ event) => this.#drag && event.preventDefault(),
    }, avatar, h('span', { class: 'breakout-name' }, id === this.#own() ? t('person.you', { name }) : name, !here && h('span', { class: 'hint' }, t('breakout.away'))),
    menu(t('breakout.move', { name }), others.map((to) => ({ symbol: 'people', label: to.title, act: () => this.#put(person, to.id) }))));
  }

  /** @param {Person} person @param {string|null} room */
  #put(person, room) {
    if (room === person.room) return;
    const title = this.#rooms.find(({ id }) => id === room)?.title ?? '';
    void this.#move(person, room);
    setText(this.#said, t('breakout.moved', { name: person.name, room: title }));
  }

  /** @param {PointerEvent} event @param {Person} person */
  #press(event, person) {
    const row = /** @type {HTMLElement} */ (event.currentTarget);
    if (event.button !== 0 || this.#drag || (event.target instanceof Element && event.target.closest('.menu'))) return;
    const from = { x: event.clientX, y: event.clientY };
    const waits = new AbortController();
    const { signal } = waits;
    const start = () => {
      waits.abort();
      this.#follow(row, person, event.pointerId, from);
    };
    const finger = event.pointerType !== 'mouse';
    const timer = finger ? setTimeout(start, LONG_PRESS_MS) : 0;
    signal.addEventListener('abort', () => clearTimeout(timer));
    row.addEventListener('pointermove', ({ clientX, clientY }) => {
      if (Math.hypot(clientX - from.x, clientY - from.y) < STILL) return;
      if (finger) waits.abort();
      else start();
    }, { signal });
    for (const type of ['pointerup', 'pointercancel', 'pointerleave']) row.addEventListener(type, () => waits.abort(), { signal });
  }

  /**
   * Move a row with the pointer, and put its person into the room where it is dropped.
   * @param {HTMLElement} row @param {Person} person @param {number} pointer @param {{x: number, y: number}} from
   */
  #follow(row, person, pointer, from) {
    const drag = this.#drag = new AbortController();
    const { signal } = drag;
    const panel = this.element.closest('.panel-body');
    const scrolled = panel?.scrollTop ?? 0;
    let at = from;
    row.setPointerCapture(pointer);
    row.classList.add('dragged');
    const room = () => document.elementFromPoint(at.x, at.y)?.closest('[data-room]') ?? null;
    const draw = () => {
      row.style.translate = `${at.x - from.x}px ${at.y - from.y + (panel?.scrollTop ?? 0) - scrolled}px`;
      const target = room();
      for (const one of this.element.querySelectorAll('[data-room]')) one.classList.toggle('target', one === target);
    };
    const frame = () => {
      if (signal.aborted) return;
      const { top, bottom } = panel?.getBoundingClientRect() ?? { top: 0, bottom: innerHeight };
      const step = at.y < top + EDGE ? -SCROLL : at.y > bottom - EDGE ? SCROLL : 0;
      if (step !== 0) {
        panel?.scrollBy(0, step);
        draw();
      }
      requestAnimationFrame(frame);
    };
    row.addEventListener('pointermove', ({ clientX, clientY }) => {
      at = { x: clientX, y: clientY };
      draw();
    }, { signal });
    row.addEventListener('pointerup', () => {
      const target = room();
      drag.abort();
      if (target instanceof HTMLElement) this.#put(person, target.dataset.room || null);
    }, { signal });
    for (const type of ['pointercancel', 'lostpointercapture']) row.addEventListener(type, () => drag.abort(), { signal });
    addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      event.stopPropagation();
      drag.abort();
    }, { signal, capture: true });
    signal.addEventListener('abort', () => {
      this.#drag = null;
      row.classList.remove('dragged');
      row.style.translate = '';
      for (const one of this.element.querySelectorAll('.target')) one.classList.remove('target');
    });
    draw();
    requestAnimationFrame(frame);
  }
}
