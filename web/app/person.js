/** Who somebody is at a glance: the first letters of the name on a colour of their own. */
import { h } from './dom.js';
import { hue, initials } from './format.js';

/** @param {string} id @param {string} name @returns {HTMLElement} */
export function person(id, name) {
  const element = h('span', { class: 'avatar avatar-small', 'aria-hidden': 'true' }, initials(name));
  element.style.setProperty('--hue', String(hue(id)));
  return element;
}
