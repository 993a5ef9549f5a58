/** An avatar: a picture, or the initials of a name, on a colour derived from the participant. */
import { avatarOf, face } from './avatars.js';
import { h } from './dom.js';
import { hue } from './format.js';

/** @param {string} id @param {string} name @param {string|null} [avatar] the name of an account's picture @returns {HTMLElement} */
export function person(id, name, avatar = null) {
  const element = h('span', { class: 'avatar avatar-small', 'aria-hidden': 'true' });
  element.style.setProperty('--hue', String(hue(id)));
  face(element, name, '');
  if (avatar) void avatarOf(id, avatar).then((url) => face(element, name, url));
  return element;
}
