/**
 * Captions over the video: the latest utterances, replaced by revisions and removed after a while. A translation to the reader's
 * language replaces the original when it arrives.
 */
import { arrange, h, setText } from './dom.js';
import { Translations } from './translations.js';
import { known, t } from './words.js';

const LINES = 3;
const KEPT_MS = 7_000;

export class Captions {
  element = h('div', { class: 'captions', role: 'log', 'aria-label': t('captions.label'), hidden: true });
  #notice = h('p', { class: 'captions-notice' });
  #trouble = h('p', { class: 'captions-notice' }, t('translation.failed'));
  #call;
  #room;
  #signal;
  /** Ends with the chosen language. */
  #chosen = new AbortController();
  /** @type {Translations|null} */
  #translations = null;
  /** @type {Map<string, {rev: number, line: HTMLElement, timer: ReturnType<typeof setTimeout>|undefined}>} */
  #utterances = new Map();

  /** @param {import('./call.js').Call} call @param {AbortSignal} signal */
  constructor(call, signal) {
    const { room, view } = call;
    this.#call = call;
    this.#room = room;
    this.#signal = signal;
    moveBetween(this.element, view);
    const place = () => {
      Object.assign(this.element.dataset, { size: view.captionsSize, at: view.captionsAt });
      this.#translate();
    };
    view.addEventListener('change', place, { signal });
    place();
    room.addEventListener('caption', ({ detail }) => this.#receive(detail), { signal });
    room.addEventListener('captions-state', () => this.#update(), { signal });
    signal.addEventListener('abort', () => {
      this.#chosen.abort();
      this.#utterances.forEach(({ timer }) => clearTimeout(timer));
    });
  }

  get shown() {
    return !this.element.hidden;
  }

  /** @param {boolean} shown */
  show(shown) {
    this.element.hidden = !shown;
    this.#translate();
    this.#update();
  }

  /** Translate to the chosen language from now on, while captions are shown and the server can. */
  #translate() {
    const { view, translation } = this.#call;
    const language = this.shown && translation.includes(view.translation) ? view.translation : '';
    if ((this.#translations?.language ?? '') === language) return;
    this.#chosen.abort();
    this.#chosen = new AbortController();
    if (this.#signal.aborted) return;
    this.#translations = language === '' ? null : new Translations(language, () => this.#call.place.id, { signal: this.#chosen.signal, ended: () => this.#update() });
    this.#update();
  }

  /** @param {any} caption */
  #receive(caption) {
    const before = this.#utterances.get(caption.utterance);
    if (before && before.rev >= caption.rev) return;
    const line = before?.line ?? h('p', { class: 'caption' }, h('strong', {}), h('span', {}));
    setText(line.firstElementChild, `${this.#speaker(caption.participant)} `);
    this.#say(caption, line, caption.text, caption.lang);
    line.classList.toggle('final', caption.final);
    if (!caption.final) return;
    const translations = this.#translations;
    translations?.want({ utterance: caption.utterance, lang: caption.lang }, (text) => {
      if (this.#utterances.get(caption.utterance)?.line === line) this.#say(caption, line, text, translations.language);
    });
  }

  /** Show a text of an utterance, for a while. @param {any} caption @param {HTMLElement} line @param {string} text @param {string} lang */
  #say({ utterance, rev }, line, text, lang) {
    clearTimeout(this.#utterances.get(utterance)?.timer);
    setText(/** @type {Element} */ (line.lastElementChild), text);
    line.lang = lang ?? '';
    this.#utterances.set(utterance, { rev, line, timer: setTimeout(() => this.#remove(utterance), KEPT_MS) });
    this.#update();
  }

  /** @param {string} id */
  #speaker(id) {
    return id === this.#room.participant ? this.#call.name : this.#room.roster.participants.get(id)?.name ?? t('person.somebody');
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
    const trouble = this.#translations?.failed ? [this.#trouble] : [];
    // Available with a reason: captions work, but with limits.
    arrange(this.element, lines.length > 0 || (available && !reason) ? [...lines, ...trouble] : [this.#notice]);
  }
}

/** The problem with captions, in the user's language. @param {string} sentence from the server @param {string} code of the problem, if any */
function reasonOf(sentence, code) {
  return known(`captions.why-${code}`) ? t(`captions.why-${code}`) : sentence;
}

/** The reader drags the captions to the other edge of the picture. @param {HTMLElement} element @param {import('./view-state.js').ViewState} view */
function moveBetween(element, view) {
  element.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    const start = event.clientY;
    element.setPointerCapture(event.pointerId);
    const end = new AbortController();
    element.addEventListener('pointermove', ({ clientY }) => (element.style.translate = `0 ${clientY - start}px`), { signal: end.signal });
    const drop = (/** @type {PointerEvent} */ { type, clientY }) => {
      end.abort();
      element.style.translate = '';
      const { top = 0, height = 0 } = element.parentElement?.getBoundingClientRect() ?? {};
      if (type === 'pointerup' && Math.abs(clientY - start) > height / 4) view.set({ captionsAt: clientY < top + height / 2 ? 'top' : 'bottom' });
    };
    element.addEventListener('pointerup', drop, { signal: end.signal });
    element.addEventListener('pointercancel', drop, { signal: end.signal });
  });
}
