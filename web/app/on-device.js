/** A call and its device: the screen stays on, and the icon of the installed app shows how much waits. */

/** Keep the screen on until `signal` aborts. A browser ends that whenever the page is hidden. @param {AbortSignal} signal */
export function stayAwake(signal) {
  if (!navigator.wakeLock) return;
  /** @type {WakeLockSentinel|null} */
  let lock = null;
  const ask = async () => {
    if (document.visibilityState !== 'visible') return;
    try {
      lock = await navigator.wakeLock.request('screen');
      if (signal.aborted) await lock.release();
    } catch {
      // Refused, for example because the battery is low.
    }
  };
  document.addEventListener('visibilitychange', () => void ask(), { signal });
  signal.addEventListener('abort', () => void lock?.release());
  void ask();
}

/** Show a number on the installed app's icon, until `signal` aborts. @param {AbortSignal} signal @returns {(count: number) => void} */
export function badge(signal) {
  let shown = 0;
  /** @param {number} count */
  const show = (count) => {
    if (count === shown || !navigator.setAppBadge) return;
    shown = count;
    void (count > 0 ? navigator.setAppBadge(count) : navigator.clearAppBadge()).catch(() => undefined);
  };
  signal.addEventListener('abort', () => show(0));
  return show;
}
