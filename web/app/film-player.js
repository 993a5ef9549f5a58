/** A video of a recording, played in a dialog over the page that lists it. */
import { show } from './dialogs.js';
import { h } from './dom.js';
import { iconButton } from './fields.js';
import { t } from './words.js';

const SOUND = /\.(m4a|mp3)$/;

/**
 * Play a video until the dialog is closed. Whatever else plays on the page pauses. @param {string} name @param {string} src
 * @returns {Promise<void>} resolves when the dialog is closed
 */
export async function playFilm(name, src) {
  for (const other of document.querySelectorAll('video')) other.pause();
  const look = SOUND.test(src) ? {} : { class: 'watch-film', playsinline: true };
  const media = h(SOUND.test(src) ? 'audio' : 'video', { ...look, src, controls: true, autoplay: true, 'aria-label': name });
  await show((dialog) => [
    h('div', { class: 'dialog-head' }, h('h2', {}, name), iconButton('close', t('action.close'), { onclick: () => dialog.close('') })), media,
  ], 'dialog dialog-player');
  media.pause();
}
