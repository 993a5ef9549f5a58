/**
 * What is said in a call, in a panel: captions from before we joined are fetched, new ones are added. It follows the speech
 * unless the reader scrolls up. Loaded when it is first opened.
 */
import { h, setText } from './dom.js';
import { iconButton } from './fields.js';
import { duration } from './format.js';
import { saveFile } from './save-file.js';
import { rest } from './session.js';
import { Translations, languageChoice } from './translations.js';
import { t } from './words.js';

const KEPT = 2_000;
/** A list that is scrolled this close to its end (px) follows the speech. */
const NEAR_END = 40;

/** @typedef {{utterance: string, participant: string, name: string, text: string, lang: string, rev: number, start_ms: number, final: boolean}} Line */

export class TranscriptPanel {
  element;
  #call;
  #signal;
  #list = h('ol', { class: 'transcript-lines', tabindex: 0, role: 'log', 'aria-label': t('transcript.title') });
  #notice = h('p', { class: 'hint' });
  /** By utterance. @type {Map<string, {line: Line, element: HTMLElement}>} */
  #lines = new Map();
  /** @type {Translations|null} */
  #translations = null;
  #chosen = new AbortController();

  /** @param {import('./call.js').Call} call @param {{signal: AbortSignal, close: () => void}} options */
  constructor(call, { signal, close }) {
    this.#call = call;
    this.#signal = signal;
    const { room, view, translation } = call;
    this.element = h('aside', { class: 'panel panel-transcript', 'aria-label': t('transcript.title'), hidden: true },
      h('header', { class: 'panel-head' }, h('h2', { tabindex: -1 }, t('transcript.title')),
        iconButton('download', t('transcript.save'), { onclick: () => this.#save() }), iconButton('close', t('action.close'), { onclick: close })),
      h('div', { class: 'panel-body transcript-body' },
        translation.length > 0 && languageChoice(translation, view.translation, (chosen) => view.set({ translation: chosen })), this.#notice, this.#list));
    room.addEventListener('caption', ({ detail }) => this.#show({ ...detail, name: this.#nameOf(detail.participant) }), { signal });
    view.addEventListener('change', () => this.#translate(), { signal });
    signal.addEventListener('abort', () => this.#chosen.abort());
    this.#translate();
    this.#update();
    void this.#load();
  }

  /** @param {boolean} shown */
  show(shown) {
    if (shown === !this.element.hidden) return;
    this.element.hidden = !shown;
    if (!shown) return;
    this.element.querySelector('h2')?.focus();
    this.#list.scrollTop = this.#list.scrollHeight;
  }

  async #load() {
    try {
      const { captions } = await rest.get(`/meetings/${encodeURIComponent(this.#call.place.id)}/captions`);
      if (this.#signal.aborted) return;
      for (const caption of captions) this.#show({ ...caption, rev: Infinity, final: true });
    } catch {
      // Where they may not be read, the transcript begins now.
    }
  }

  /** @param {string} id */
  #nameOf(id) {
    const { room, name } = this.#call;
    return id === room.participant ? name : room.roster.participants.get(id)?.name ?? t('person.somebody');
  }

  /** @param {Line} line */
  #show(line) {
    const known = this.#lines.get(line.utterance);
    if (known && known.line.rev >= line.rev) return;
    const follows = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < NEAR_END;
    const element = known?.element ?? h('li', {}, h('p', { class: 'spoken-line' }, h('span', { class: 'spoken-time' }), h('strong', {}), h('span', {})));
    const [time, name, text] = /** @type {Element} */ (element.firstElementChild).children;
    setText(time, duration(line.start_ms));
    setText(name, line.name);
    setText(text, line.text);
    text.setAttribute('lang', line.lang);
    element.classList.toggle('unsettled', !line.final);
    this.#lines.set(line.utterance, { line, element });
    if (!known) this.#insert(line, element);
    if (line.final) this.#want(line, text);
    if (follows) this.#list.scrollTop = this.#list.scrollHeight;
    this.#update();
  }

  /** Put a new line at its time. @param {Line} line @param {HTMLElement} element */
  #insert(line, element) {
    const start = (/** @type {Element} */ one) => Number(/** @type {HTMLElement} */ (one).dataset.start);
    element.dataset.start = String(line.start_ms);
    let before = this.#list.lastElementChild;
    while (before && start(before) > line.start_ms) before = before.previousElementSibling;
    if (before) before.after(element);
    else this.#list.prepend(element);
    if (this.#lines.size <= KEPT) return;
    const [oldest] = [...this.#lines].reduce((a, b) => (b[1].line.start_ms < a[1].line.start_ms ? b : a));
    this.#lines.get(oldest)?.element.remove();
    this.#lines.delete(oldest);
  }

  /** Translate all lines to the chosen language, or show the originals. */
  #translate() {
    const { view, translation, place } = this.#call;
    const language = translation.includes(view.translation) ? view.translation : '';
    if ((this.#translations?.language ?? '') === language) return;
    this.#chosen.abort();
    this.#chosen = new AbortController();
    this.#translations = language ? new Translations(language, () => place.id, { signal: this.#chosen.signal, ended: () => this.#update() }) : null;
    for (const { line, element } of this.#lines.values()) {
      const text = /** @type {Element} */ (element.firstElementChild?.lastElementChild);
      setText(text, line.text);
      text.setAttribute('lang', line.lang);
      if (line.final) this.#want(line, text);
    }
  }

  /** @param {Line} line @param {Element} place of its text */
  #want({ utterance, lang }, place) {
    const translations = this.#translations;
    translations?.want({ utterance, lang }, (text) => {
      if (this.#translations !== translations) return;
      setText(place, text);
      place.setAttribute('lang', translations.language);
    });
  }

  #update() {
    const notice = this.#translations?.failed ? t('translation.failed') : this.#lines.size === 0 ? t('transcript.none') : '';
    setText(this.#notice, notice);
    this.#notice.hidden = notice === '';
  }

  #save() {
    const lines = [...this.#list.children].map(({ firstElementChild }) => [...(firstElementChild?.children ?? [])].map(({ textContent }) => textContent).join(' '));
    saveFile(new Blob([`${lines.join('\n')}\n`], { type: 'text/plain' }), `${this.#call.meeting.title}.txt`);
  }
}
