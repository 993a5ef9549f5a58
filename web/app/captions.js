/** Captions over the video: the latest utterances, replaced by revisions and removed after a while. */
import { arrange, h, setText } from './dom.js';
import { known, t } from './words.js';

const LINES = 3;
const KEPT_MS = 7_000;

export class Captions {
  element = h('div', { class: 'captions', role: 'log', 'aria-label': t('captions.label'), hidden: true });
  #notice = h('p', { class: 'captions-notice' });
  #room;
  #name;
  /** @type {Map<string, {rev: number, line: HTMLElement, timer: ReturnType<typeof setTimeout>|undefined}>} */
  #utterances = new Map();

  /** @param {import('/sdk/parley.js').Room} room @param {{signal: AbortSignal, name: string, view: import('./view-state.js').ViewState}} options */
  constructor(room, { signal, name, view }) {
    this.#room = room;
    this.#name = name;
    const place = () => Object.assign(this.element.dataset, { size: view.captionsSize, at: view.captionsAt });
    view.addEventListener('change', place, { signal });
    place();
    room.addEventListener('caption', ({ detail }) => this.#receive(detail), { signal });
    room.addEventListener('captions-state', () => this.#update(), { signal });
    signal.addEventListener('abort', () => this.#utterances.forEach(({ timer }) => clearTimeout(timer)));
  }

  get shown() {
    return !this.element.hidden;
  }

  /** @param {boolean} shown */
  show(shown) {
    this.element.hidden = !shown;
    this.#update();
  }

  /** @param {any} caption */
  #receive(caption) {
    const before = this.#utterances.get(caption.utterance);
    if (before && before.rev >= caption.rev) return;
    clearTimeout(before?.timer);
    const line = before?.line ?? h('p', { class: 'caption', lang: caption.lang || null }, h('strong', {}), h('span', {}));
    setText(line.firstElementChild, `${this.#speaker(caption.participant)} `);
    setText(line.lastElementChild, caption.text);
    line.classList.toggle('final', caption.final);
    const timer = setTimeout(() => this.#remove(caption.utterance), KEPT_MS);
    this.#utterances.set(caption.utterance, { rev: caption.rev, line, timer });
    this.#update();
  }

  /** @param {string} id */
  #speaker(id) {
    return id === this.#room.participant ? this.#name : this.#room.roster.participants.get(id)?.name ?? t('person.somebody');
  }

  /** @param {string} utterance */
  #remove(utterance) {
    this.#utterances.delete(utterance);
    this.#update();
  }

  #update() {
    const { available, reason, code } = this.#room.captions;
    const lines = [...this.#utterances.values()].map(({ line }) => line).slice(-LINES);
    setText(this.#notice, reason ? reasonOf(reason, code ?? '') : t('captions.none'));
    // Available with a reason: captions work, but with limits.
    arrange(this.element, lines.length > 0 || (available && !reason) ? lines : [this.#notice]);
  }
}

/** The problem with captions, in the user's language. @param {string} sentence from the server @param {string} code of the problem, if any */
function reasonOf(sentence, code) {
  return known(`captions.why-${code}`) ? t(`captions.why-${code}`) : sentence;
}
