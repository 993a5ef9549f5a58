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
  #open;
  /** @type {Set<string>} */
  #announced = new Set();
  /** Removes the notice. @type {(() => void)|null} */
  #notice = null;

  /**
   * @param {import('/sdk/parley.js').Room} room @param {string} meeting
   * @param {{signal: AbortSignal, decide: (action: 'admit'|'deny', entry: any) => Promise<void>, changed: () => void, open: () => void}} options
   *   `open` shows the list
   */
  constructor(room, meeting, { signal, decide, changed, open }) {
    this.#room = room;
    this.#meeting = meeting;
    this.#decide = decide;
    this.#changed = changed;
    this.#open = open;
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
    const fresh = waiting.filter(({ id }) => !this.#announced.has(id));
    for (const { id } of fresh) this.#announced.add(id);
    const noticed = this.#notice !== null;
    this.seen();
    // Whoever sees the list needs no notice, which would cover it. One notice stands for all who wait.
    if (waiting.length > 0 && (fresh.length > 0 || noticed) && this.element.offsetParent === null) this.#notice = this.#announce(waiting);
    this.#changed();
  }

  /** The list is visible now: remove the notice. */
  seen() {
    this.#notice?.();
    this.#notice = null;
  }

  /** @param {{id: string, name: string}[]} waiting @returns {() => void} removes the notice */
  #announce(waiting) {
    const [entry, ...others] = [...waiting].reverse();
    const { name } = entry;
    if (others.length > 0) return toast(t('lobby.wait-many', { name, count: others.length }), 'info', { label: t('lobby.show'), act: this.#open });
    return toast(t('lobby.waits', { name }), 'info', { label: t('lobby.admit'), name: t('lobby.admit-of', { name }), act: () => this.#settle('admit', entry) });
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
