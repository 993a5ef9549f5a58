/** Pictures of accounts, shown instead of initials. Each is loaded once. */
import { h, setText } from './dom.js';
import { initials } from './format.js';
import { rest } from './session.js';

const SIDE = 512;

/** Object URLs, by the name of the picture. @type {Map<string, Promise<string>>} */
const loaded = new Map();

/** @param {string} user @param {string} avatar the picture's name @returns {Promise<string>} its URL, '' if it cannot be loaded */
export function avatarOf(user, avatar) {
  let url = loaded.get(avatar);
  if (!url) {
    url = rest.blob(`/users/${encodeURIComponent(user)}/avatar`).then((blob) => URL.createObjectURL(blob)).catch(() => {
      loaded.delete(avatar); // tried again when it is shown next
      return '';
    });
    loaded.set(avatar, url);
  }
  return url;
}

/** Show a picture, or the initials of a name. @param {HTMLElement} element @param {string} name @param {string} url '' for initials */
export function face(element, name, url) {
  if (!url) setText(element, initials(name));
  else if (element.firstElementChild?.getAttribute('src') !== url) element.replaceChildren(h('img', { src: url, alt: '' }));
}

/** Return the middle square of a picture, scaled down; rejects if the file is not a picture. @param {Blob} file @returns {Promise<Blob>} */
export async function squared(file) {
  const picture = await createImageBitmap(file);
  const side = Math.min(picture.width, picture.height);
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  canvas.getContext('2d')?.drawImage(picture, (picture.width - side) / 2, (picture.height - side) / 2, side, side, 0, 0, SIDE, SIDE);
  picture.close();
  return canvas.convertToBlob({ type: 'image/jpeg', quality: 0.9 });
}
