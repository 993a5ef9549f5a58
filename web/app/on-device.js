/** A call and its device: the screen stays on, sleep is noticed, and the icon of the installed app shows how much waits. */

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

const TICK_MS = 1_000;
/** Browsers slow down the timers of hidden pages to one a minute; a longer gap means that the page was frozen, or the device asleep. */
const ASLEEP_MS = 75_000;

/** Tell how long the browser or the device let this page sleep, once it is awake and seen. @param {AbortSignal} signal @param {(ms: number) => void} slept */
export function noticeSleep(signal, slept) {
  let before = Date.now();
  let frozen = 0;
  let asleep = 0;
  const tell = () => {
    if (asleep === 0 || document.visibilityState !== 'visible') return;
    slept(asleep);
    asleep = 0;
  };
  const timer = setInterval(() => {
    const gap = Date.now() - before;
    before = Date.now();
    if (gap > ASLEEP_MS) asleep += gap;
    tell();
  }, TICK_MS);
  document.addEventListener('freeze', () => (frozen = Date.now()), { signal });
  document.addEventListener('resume', () => {
    if (frozen > 0) asleep += Date.now() - frozen;
    frozen = 0;
    before = Date.now();
    tell();
  }, { signal });
  document.addEventListener('visibilitychange', tell, { signal });
  signal.addEventListener('abort', () => clearInterval(timer));
}
