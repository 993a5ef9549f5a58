/**
 * Loads the page anew where a module of it did not come, as when the network changed meanwhile: without one there is
 * nothing to see. No module itself, since it has to be there before they are.
 */
'use strict';
{
  const KEY = 'parley:incomplete';
  const LONGEST = 30_000; // ms

  const before = () => {
    try {
      return Number(sessionStorage.getItem(KEY)) || 0;
    } catch {
      return 5; // a browser that keeps nothing: not too often
    }
  };

  /** @param {number} tries */
  const keep = (tries) => {
    try {
      sessionStorage.setItem(KEY, String(tries));
    } catch {
      // as above
    }
  };

  let waits = false;
  /** @param {Event} event */
  const again = ({ target }) => {
    if (!(target instanceof HTMLScriptElement) || waits) return;
    waits = true;
    const tries = before();
    keep(tries + 1);
    const reload = () => location.reload();
    setTimeout(reload, Math.min(500 * 2 ** tries, LONGEST));
    addEventListener('online', reload);
    document.getElementById('page')?.append('The page did not load completely. Reloading…');
  };

  addEventListener('error', again, true); // of elements it is told on the way down alone
  addEventListener('load', () => waits || keep(0));
}
