/** The toolbar of a call: its actions, each with a shortcut. */
import { h } from './dom.js';
import { icon } from './icons.js';
import { keyOf } from './shortcuts.js';
import { t } from './words.js';

const BUTTONS = [
  { action: 'microphone', symbol: 'mic', label: 'bar.microphone' },
  { action: 'camera', symbol: 'camera', label: 'bar.camera' },
  { action: 'screen', symbol: 'screen', label: 'bar.screen' },
  { action: 'hand', symbol: 'hand', label: 'bar.hand-raise' },
  { action: 'react', symbol: 'smile', label: 'bar.react' },
  { action: 'captions', symbol: 'captions', label: 'bar.captions' },
  { action: 'chat', symbol: 'chat', label: 'bar.chat' },
  { action: 'people', symbol: 'people', label: 'bar.people-plain' },
  { action: 'transcript', symbol: 'file', label: 'transcript.title' },
  { action: 'activities', symbol: 'activities', label: 'bar.activities' },
  { action: 'notes', symbol: 'notes', label: 'bar.notes' },
  { action: 'board', symbol: 'board', label: 'bar.board' },
  { action: 'record', symbol: 'record', label: 'bar.record' },
  { action: 'layout', symbol: 'grid', label: 'bar.layout-speaker' },
  { action: 'devices', symbol: 'settings', label: 'bar.settings' },
  { action: 'help', symbol: 'help', label: 'bar.help' },
  { action: 'leave', symbol: 'leave', label: 'bar.leave' },
];
/** Actions in a second row, which the "more" button opens on a narrow screen. */
const SECONDARY = new Set(['react', 'captions', 'transcript', 'people', 'activities', 'notes', 'board', 'layout', 'record', 'devices', 'help']);

export class Bar {
  element;
  /** @type {Map<string, HTMLButtonElement>} */
  #buttons = new Map();
  #act;

  /** @param {(action: string) => void} act @param {Set<string>|null} offered the actions that have a button; null: all */
  constructor(act, offered) {
    this.#act = act;
    const shown = BUTTONS.filter(({ action }) => !offered || offered.has(action));
    /** @param {boolean} secondary */
    const buttons = (secondary) => shown.filter(({ action }) => action !== 'leave' && SECONDARY.has(action) === secondary).map((button) => this.#button(button));
    // Leave comes last, in Tab order too.
    const leave = shown.filter(({ action }) => action === 'leave').map((button) => this.#button(button));
    this.element = h('nav', { class: 'bar', 'aria-label': t('bar.call') },
      ...buttons(false), h('div', { class: 'bar-secondary' }, ...buttons(true)), shown.some(({ action }) => SECONDARY.has(action)) && this.#more(), ...leave);
  }

  /**
   * @param {string} action
   * @param {{on?: boolean, symbol?: string, label: string, disabled?: boolean, hidden?: boolean, count?: number, alert?: boolean}} state
   */
  set(action, { on, symbol, label, disabled = false, hidden = false, count = 0, alert = false }) {
    const button = this.#buttons.get(action);
    if (!button) return;
    const key = keyOf(action);
    const title = t('bar.shortcut', { label, key: key === 'L' ? 'Shift+L' : key });
    if (symbol && button.dataset.symbol !== symbol) {
      button.dataset.symbol = symbol;
      button.querySelector('svg')?.replaceWith(icon(symbol));
    }
    if (on !== undefined) button.setAttribute('aria-pressed', String(on));
    button.setAttribute('aria-label', count > 0 ? t('bar.new', { label, count }) : label);
    button.title = title;
    button.disabled = disabled;
    button.hidden = hidden;
    button.classList.toggle('alert', alert);
    if (count > 0) button.dataset.count = String(count);
    else delete button.dataset.count;
  }

  /** The current look of a button. @param {string} action @returns {{label: string, on: boolean, disabled: boolean}} */
  stateOf(action) {
    const button = this.#buttons.get(action);
    return { label: button?.getAttribute('aria-label') ?? '', on: button?.getAttribute('aria-pressed') !== 'false', disabled: button?.disabled ?? true };
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
      'aria-label': t(label),
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
      type: 'button', class: 'bar-button bar-more', 'aria-label': t('bar.more'), title: t('bar.more'),
      onclick: () => this.element.classList.toggle('open'),
    }, icon('more'));
  }
}
