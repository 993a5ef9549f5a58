/** A file shared in the chat: its name and size, a preview of images and videos, and a download button. */
import { h, setText } from './dom.js';
import { sentenceOf, size } from './format.js';
import { icon } from './icons.js';
import { saveFile } from './save-file.js';
import { rest } from './session.js';
import { toast } from './toasts.js';
import { t } from './words.js';

/** @param {string} id @param {string} name @param {boolean} cookie true if the browser can fetch it directly, which guests cannot: they need a token @returns {HTMLElement} */
export function sharedFile(id, name, cookie) {
  const path = `/media/download/${encodeURIComponent(id)}`;
  const about = h('span', { class: 'hint' });
  const body = [icon('file'), h('span', { class: 'file-name' }, h('strong', {}, name), about), icon('download')];
  const label = t('chat.download', { name });
  const control = cookie
    ? h('a', { class: 'file', href: `/api/v1${path}`, download: name, title: label }, ...body)
    : h('button', { type: 'button', class: 'file', title: label, onclick: () => void save(path, name) }, ...body);
  const element = h('div', { class: 'shared-file' }, control);
  void describe(id, name, about, element);
  return element;
}

/** @param {string} id @param {string} name @param {HTMLElement} about @param {HTMLElement} element */
async function describe(id, name, about, element) {
  try {
    const file = await rest.get(`/media/info/${encodeURIComponent(id)}`);
    setText(about, size(file.bytes));
    if (!file.thumbnail) return;
    // A guest's browser cannot fetch an image directly, because it would not send the token.
    const picture = await createImageBitmap(await rest.blob(`/media/thumbnail/${encodeURIComponent(id)}`));
    const canvas = h('canvas', { class: 'file-preview', role: 'img', 'aria-label': t('chat.preview', { name }), width: picture.width, height: picture.height });
    canvas.getContext('2d').drawImage(picture, 0, 0);
    element.prepend(canvas);
  } catch {
    setText(about, t('chat.file-gone'));
  }
}

/** @param {string} path @param {string} name */
async function save(path, name) {
  try {
    saveFile(await rest.blob(path), name);
  } catch (error) {
    toast(sentenceOf(error), 'problem');
  }
}
