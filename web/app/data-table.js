/** A table of a paged list of the server: rows with actions, and a button that loads more. On a phone each row is a card. */
import { ask } from './dialogs.js';
import { h, setText } from './dom.js';
import { sentenceOf } from './format.js';
import { rest } from './session.js';
import { toast } from './toasts.js';
import { t } from './words.js';

/**
 * @typedef {{label: string, of: (row: any) => any, kind?: 'main'|'number'|'actions'}} Column `of` returns the content of a cell
 */

export class DataTable {
  element;
  #columns;
  #load;
  #body = h('tbody');
  #empty = h('p', { class: 'hint', hidden: true });
  #more = h('button', { type: 'button', class: 'button', hidden: true, onclick: () => void this.#next() }, t('action.more'));
  /** @type {any} the cursor of the next page */
  #cursor = null;
  /** Counts refreshes: a response to an earlier request is ignored. */
  #turn = 0;

  /** @param {{label: string, empty: string, columns: Column[], load: (cursor: any) => Promise<{rows: any[], next: any}>}} options */
  constructor({ label, empty, columns, load }) {
    this.#columns = columns;
    this.#load = load;
    setText(this.#empty, empty);
    this.element = h('div', { class: 'data' }, h('table', { class: 'data-table', 'aria-label': label },
      h('thead', {}, h('tr', {}, ...columns.map(({ label: name, kind }) => h('th', { scope: 'col', class: kind ?? null }, kind === 'actions' ? h('span', { class: 'unseen' }, name) : name)))),
      this.#body), this.#empty, this.#more);
  }

  /** Load the list again from its start. */
  async refresh() {
    this.#turn += 1;
    this.#cursor = null;
    await this.#next(true);
  }

  async #next(anew = false) {
    const turn = this.#turn;
    this.#more.disabled = true;
    try {
      const { rows, next } = await this.#load(this.#cursor);
      if (turn !== this.#turn) return;
      const made = rows.map((row) => this.#row(row));
      if (anew) this.#body.replaceChildren(...made);
      else this.#body.append(...made);
      this.#cursor = next;
      this.#more.hidden = next === null;
      this.#empty.hidden = this.#body.childElementCount > 0;
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    } finally {
      this.#more.disabled = false;
    }
  }

  /** Act on a row, then refresh the list. @param {() => Promise<unknown>} act */
  async act(act) {
    try {
      await act();
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    }
    await this.refresh();
  }

  /** Ask, then act. @param {string} what @param {string} text @param {string} action the button's label @param {() => Promise<unknown>} act */
  async sure(what, text, action, act) {
    if (await ask(t('action.sure', { what }), text, [{ label: action, value: 'yes', class: 'danger' }]) === 'yes') await this.act(act);
  }

  /** @param {any} row */
  #row(row) {
    return h('tr', {}, ...this.#columns.map(({ label, of, kind }) => {
      const value = of(row);
      return h('td', { class: kind ?? null, 'data-label': kind === 'main' || kind === 'actions' ? null : label }, ...(Array.isArray(value) ? value : [value]));
    }));
  }
}

/** Return what loads the pages of a list. @param {string} path of the REST API @param {string} name of the list in its answers @returns {(cursor: string|null) => Promise<{rows: any[], next: any}>} */
export function pagesOf(path, name) {
  return async (cursor) => {
    const { [name]: rows, next } = await rest.get(`${path}${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ''}`);
    return { rows, next };
  };
}
