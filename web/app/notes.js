/** Shared notes: plain text in a panel beside the call, loaded when it is first opened. */
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
  #state = h('p', { class: 'hint', 'aria-live': 'polite' });
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;

  /** @param {import('./call.js').Call} call @param {{signal: AbortSignal, close: () => void}} options */
  constructor(call, { signal, close }) {
    this.#call = call;
    this.#document = documentOf(call);
    this.#text = this.#document.doc.getText('notes');
    this.#input = h('textarea', { class: 'input notes-text', 'aria-label': t('notes.label'), placeholder: t('notes.placeholder'), maxlength: LONGEST, spellcheck: 'true', oninput: () => this.#typed() });
    this.element = h('aside', { class: 'panel panel-notes', 'aria-label': t('notes.label'), hidden: true },
      h('header', { class: 'panel-head' }, h('h2', { tabindex: -1 }, t('notes.label')),
        iconButton('download', t('notes.download'), { onclick: () => this.#download() }), iconButton('close', t('action.close'), { onclick: close })),
      h('div', { class: 'panel-body notes' }, this.#input, this.#state));
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
    if (transaction.origin === OWN) return;
    /** @param {number} at */
    const moved = (at) => {
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
    };
    const { selectionStart, selectionEnd, scrollTop } = this.#input;
    this.#input.value = this.#text.toString();
    this.#input.setSelectionRange(moved(selectionStart), moved(selectionEnd));
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
