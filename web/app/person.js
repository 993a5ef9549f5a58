/** An avatar: the initials of a name on a colour derived from the participant. */
import { h } from './dom.js';
import { hue, initials } from './format.js';

/** @param {string} id @param {string} name @returns {HTMLElement} */
export function person(id, name) {
  const element = h('span', { class: 'avatar avatar-small', 'aria-hidden': 'true' }, initials(name));
  element.style.setProperty('--hue', String(hue(id)));
  return element;
}
