/** Shared notes: plain text in a panel beside the call, loaded when it is first opened. */
import { Carets, moved } from './carets.js';
import { h, setText } from './dom.js';
import { iconButton } from './fields.js';
import { saveFile } from './save-file.js';
import { OWN, documentOf } from './shared-document.js';
import { t } from './words.js';

const LONGEST = 40_000;
const WRITING_MS = 3_000;

export class NotesPanel {
  element;
  #call;
  #document;
  #text;
  #input;
  #carets;
  #state = h('p', { class: 'hint', 'aria-live': 'polite' });
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;

  /** @param {import('./call.js').Call} call @param {{signal: AbortSignal, close: () => void}} options */
  constructor(call, { signal, close }) {
    this.#call = call;
    this.#document = documentOf(call);
    this.#text = this.#document.doc.getText('notes');
    this.#input = h('textarea', { class: 'input notes-text', 'aria-label': t('notes.label'), placeholder: t('notes.placeholder'), maxlength: LONGEST, spellcheck: 'true', oninput: () => this.#typed() });
    this.#carets = new Carets(call.room, this.#input, signal);
    this.element = h('aside', { class: 'panel panel-notes', 'aria-label': t('notes.label'), hidden: true },
      h('header', { class: 'panel-head' }, h('h2', { tabindex: -1 }, t('notes.label')),
        iconButton('download', t('notes.download'), { onclick: () => this.#download() }), iconButton('close', t('action.close'), { onclick: close })),
      h('div', { class: 'panel-body notes' }, h('div', { class: 'notes-paper' }, this.#input, this.#carets.element), this.#state));
    const changed = (/** @type {any} */ event) => this.#changed(event);
    this.#text.observe(changed);
    signal.addEventListener('abort', () => this.#text.unobserve(changed));
    this.#document.addEventListener('written', ({ detail }) => this.#written(detail.participant), { signal });
    call.room.addEventListener('grants', () => this.#refresh(), { signal });
    this.#input.value = this.#text.toString();
    this.#refresh();
  }

  /** @param {boolean} shown */
  show(shown) {
    if (shown === !this.element.hidden) return;
    this.element.hidden = !shown;
    if (shown) (this.#input.readOnly ? this.element.querySelector('h2') : this.#input).focus();
  }

  #refresh() {
    this.#input.readOnly = !this.#document.mayWrite;
    if (this.#input.readOnly) setText(this.#state, t('notes.read-only'));
  }

  /** Write typed text to the document: the part between the common beginning and the common end. */
  #typed() {
    const before = this.#text.toString();
    const after = this.#input.value;
    let start = 0;
    while (start < before.length && before[start] === after[start]) start += 1;
    let end = 0;
    while (end < before.length - start && end < after.length - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
    this.#document.doc.transact(() => {
      this.#text.delete(start, before.length - start - end);
      this.#text.insert(start, after.slice(start, after.length - end));
    }, OWN);
  }

  /** Show changes by others, and keep the caret at its place in the text. @param {any} event */
  #changed({ delta, transaction }) {
    this.#carets.shift(delta);
    if (transaction.origin === OWN) return;
    const { selectionStart, selectionEnd, scrollTop } = this.#input;
    this.#input.value = this.#text.toString();
    this.#input.setSelectionRange(moved(selectionStart, delta), moved(selectionEnd, delta));
    this.#input.scrollTop = scrollTop;
  }

  /** @param {string} participant */
  #written(participant) {
    const name = this.#call.room.roster.participants.get(participant)?.name ?? t('person.somebody');
    setText(this.#state, t('notes.writing', { name }));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => setText(this.#state, ''), WRITING_MS);
  }

  #download() {
    saveFile(new Blob([this.#text.toString()], { type: 'text/plain' }), `${this.#call.meeting.title}.txt`);
  }
}
