/** Links and keys for other people and programs, on the clipboard. */
import { toast } from './toasts.js';
import { t } from './words.js';

/** Copy a link, made whole; where the browser refuses, show it. @param {string} path of this server, or a whole address */
export function copyLink(path) {
  return copyText(new URL(path, location.href).href, t('copied.link'));
}

/** Copy a text and say so; where the browser refuses, show it. @param {string} text @param {string} done */
export async function copyText(text, done) {
  try {
    await navigator.clipboard.writeText(text);
    toast(done);
  } catch {
    toast(text);
  }
}
