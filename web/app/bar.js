/** The bar of a call: what one can do, each with its shortcut. */
import { h } from './dom.js';
import { icon } from './icons.js';
import { keyOf } from './shortcuts.js';

const BUTTONS = [
  { action: 'microphone', symbol: 'mic', label: 'Microphone' },
  { action: 'camera', symbol: 'camera', label: 'Camera' },
  { action: 'screen', symbol: 'screen', label: 'Share screen' },
  { action: 'captions', symbol: 'captions', label: 'Captions' },
  { action: 'chat', symbol: 'chat', label: 'Chat' },
  { action: 'people', symbol: 'people', label: 'Participants' },
  { action: 'record', symbol: 'record', label: 'Record' },
  { action: 'devices', symbol: 'sliders', label: 'Devices' },
  { action: 'help', symbol: 'help', label: 'Shortcuts' },
  { action: 'leave', symbol: 'leave', label: 'Leave' },
];
/** These stand in a row of their own that a narrow screen opens with the "more" button. */
const SECONDARY = new Set(['captions', 'people', 'record', 'devices', 'help']);

export class Bar {
  element;
  /** @type {Map<string, HTMLButtonElement>} */
  #buttons = new Map();
  #act;

  /** @param {(action: string) => void} act */
  constructor(act) {
    this.#act = act;
    /** @param {boolean} secondary */
    const buttons = (secondary) => BUTTONS.filter(({ action }) => SECONDARY.has(action) === secondary).map((button) => this.#button(button));
    this.element = h('nav', { class: 'bar', 'aria-label': 'Call' },
      ...buttons(false), h('div', { class: 'bar-secondary' }, ...buttons(true)), this.#more());
  }

  /**
   * @param {string} action
   * @param {{on?: boolean, symbol?: string, label: string, disabled?: boolean, hidden?: boolean, count?: number, alert?: boolean}} state
   */
  set(action, { on, symbol, label, disabled = false, hidden = false, count = 0, alert = false }) {
    const button = this.#buttons.get(action);
    if (!button) return;
    const key = keyOf(action);
    const title = `${label} (${key === 'L' ? 'Shift+L' : key})`;
    if (symbol && button.dataset.symbol !== symbol) {
      button.dataset.symbol = symbol;
      button.querySelector('svg')?.replaceWith(icon(symbol));
    }
    if (on !== undefined) button.setAttribute('aria-pressed', String(on));
    button.setAttribute('aria-label', count > 0 ? `${label}, ${count} new` : label);
    button.title = title;
    button.disabled = disabled;
    button.hidden = hidden;
    button.classList.toggle('alert', alert);
    if (count > 0) button.dataset.count = String(count);
    else delete button.dataset.count;
  }

  /** @param {{action: string, symbol: string, label: string}} button */
  #button({ action, symbol, label }) {
    const key = keyOf(action);
    const button = h('button', {
      type: 'button',
      class: `bar-button bar-${action}`,
      'data-action': action,
      'data-symbol': symbol,
      'aria-keyshortcuts': key === 'L' ? 'Shift+L' : key,
      'aria-label': label,
      title: `${label} (${key})`,
      onclick: () => {
        this.element.classList.remove('open');
        this.#act(action);
      },
    }, icon(symbol));
    this.#buttons.set(action, button);
    return button;
  }

  #more() {
    return h('button', {
      type: 'button', class: 'bar-button bar-more', 'aria-label': 'More', title: 'More',
      onclick: () => this.element.classList.toggle('open'),
    }, icon('more'));
  }
}
