/**
 * People waiting to be let in: polled, and shown to hosts above the participants. Even without a lobby, new guests from the
 * address of a removed participant wait too.
 */
import { h } from './dom.js';
import { rest } from './session.js';
import { toast } from './toasts.js';
import { t } from './words.js';

const ASK_MS = 3_000;

export class Lobby {
  element = h('div', { class: 'lobby', hidden: true });
  count = 0;
  #key = '[]';
  #room;
  #meeting;
  #decide;
  #changed;
  /** @type {Set<string>} */
  #announced = new Set();
  /** By person: what removes the notice. @type {Map<string, () => void>} */
  #notices = new Map();

  /**
   * @param {import('/sdk/parley.js').Room} room @param {string} meeting
   * @param {{signal: AbortSignal, decide: (action: 'admit'|'deny', entry: any) => Promise<void>, changed: () => void}} options
   */
  constructor(room, meeting, { signal, decide, changed }) {
    this.#room = room;
    this.#meeting = meeting;
    this.#decide = decide;
    this.#changed = changed;
    const timer = setInterval(() => void this.#ask(), ASK_MS);
    signal.addEventListener('abort', () => clearInterval(timer));
  }

  async #ask() {
    if (!this.#room.grants.host || this.#room.connection.state !== 'connected') return;
    try {
      this.#show((await rest.lobby(this.#meeting)).waiting);
    } catch {
      // The next poll follows soon; a lost connection is shown elsewhere.
    }
  }

  /** @param {{id: string, name: string}[]} waiting */
  #show(waiting) {
    // Rebuilding a row under the pointer would lose the click and the focus.
    const key = JSON.stringify(waiting.map(({ id, name }) => [id, name]));
    if (key === this.#key) return;
    this.#key = key;
    this.count = waiting.length;
    this.element.hidden = waiting.length === 0;
    this.element.replaceChildren(h('h3', {}, t('lobby.title')), ...waiting.map((entry) => this.#row(entry)), ...(waiting.length > 1 ? [this.#all(waiting)] : []));
    for (const id of this.#notices.keys()) if (!waiting.some((entry) => entry.id === id)) this.#withdraw(id);
    for (const entry of waiting) {
      const { id, name } = entry;
      // Whoever sees the list needs no notice, which would cover it.
      if (!this.#announced.has(id) && this.element.offsetParent === null) {
        this.#notices.set(id, toast(t('lobby.waits', { name }), 'info', { label: t('lobby.admit'), name: t('lobby.admit-of', { name }), act: () => this.#settle('admit', entry) }));
      }
      this.#announced.add(id);
    }
    this.#changed();
  }

  /** The list is visible now: remove the notices. */
  seen() {
    for (const id of this.#notices.keys()) this.#withdraw(id);
  }

  /** @param {string} id */
  #withdraw(id) {
    this.#notices.get(id)?.();
    this.#notices.delete(id);
  }

  /** @param {'admit'|'deny'} action @param {any} entry */
  async #settle(action, entry) {
    await this.#decide(action, entry);
    await this.#ask();
  }

  /** @param {{id: string, name: string}[]} waiting */
  #all(waiting) {
    const admit = async () => {
      for (const entry of waiting) await this.#decide('admit', entry);
      await this.#ask();
    };
    return h('button', { type: 'button', class: 'button small', onclick: () => void admit() }, t('lobby.admit-all'));
  }

  /** @param {{id: string, name: string}} entry */
  #row(entry) {
    return h('div', { class: 'lobby-row' }, h('span', {}, entry.name),
      h('button', { type: 'button', class: 'button small primary', 'aria-label': t('lobby.admit-of', { name: entry.name }), onclick: () => void this.#settle('admit', entry) }, t('lobby.admit')),
      h('button', { type: 'button', class: 'button small', 'aria-label': t('lobby.deny-of', { name: entry.name }), onclick: () => void this.#settle('deny', entry) }, t('lobby.deny')));
  }
}
