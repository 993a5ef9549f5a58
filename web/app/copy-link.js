/** Links for other people, on the clipboard. */
import { toast } from './toasts.js';

/** Copy a link, made whole; where the browser refuses, show it. @param {string} path of this server, or a whole address */
export async function copyLink(path) {
  const link = new URL(path, location.href).href;
  try {
    await navigator.clipboard.writeText(link);
    toast('Link copied.');
  } catch {
    toast(link);
  }
}
