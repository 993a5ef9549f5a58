/** A button with a menu of actions: arrow keys move in it; Escape closes it and returns the focus to the button. */
import { h } from './dom.js';
import { iconButton } from './fields.js';
import { icon } from './icons.js';

/**
 * @param {string} label of the button
 * @param {{symbol: string, label: string, act?: () => unknown, href?: string, download?: boolean, danger?: boolean}[]} actions
 * @returns {HTMLElement}
 */
export function menu(label, actions) {
  const items = actions.map(({ symbol, label: words, act, href, download = false, danger = false }) => h(href ? 'a' : 'button', {
    class: `menu-item ${danger ? 'menu-danger' : ''}`, role: 'menuitem', tabindex: -1, type: href ? null : 'button', href,
    download, target: download ? '_self' : null,
    onclick: () => {
      close(true);
      act?.();
    },
  }, icon(symbol), words));
  const list = h('div', { class: 'menu-list', role: 'menu', 'aria-label': label, hidden: true }, ...items);
  const button = iconButton('more', label, { 'aria-haspopup': 'menu', 'aria-expanded': 'false', onclick: () => (list.hidden ? open() : close(true)) });
  const element = h('div', { class: 'menu', onkeydown: onKey, onfocusout: onLeave }, button, list);

  function open() {
    list.hidden = false;
    button.setAttribute('aria-expanded', 'true');
    // Open above the button if there is no room below it.
    list.classList.toggle('menu-above', button.getBoundingClientRect().bottom + list.offsetHeight + 16 > innerHeight);
    list.scrollIntoView({ block: 'nearest' });
    items[0]?.focus();
  }

  /** @param {boolean} back true to return the focus to the button */
  function close(back) {
    list.hidden = true;
    button.setAttribute('aria-expanded', 'false');
    if (back) button.focus();
  }

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    if (list.hidden) return;
    const at = items.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (event.key === 'Escape') close(true);
    else if (to === undefined) return;
    else items.at(to % items.length).focus();
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {FocusEvent} event */
  function onLeave(event) {
    // After a click on something that cannot have the focus, the event has no target either.
    if (!list.hidden && !(event.relatedTarget instanceof Node && element.contains(event.relatedTarget))) close(false);
  }
  return element;
}
