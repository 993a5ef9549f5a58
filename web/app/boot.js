/**
 * Runs before the first paint: sets language and theme, and requests the files of the first screen early. A classic
 * script, because it must run before any module: it reloads the page if a module does not load, for example because the
 * network changed.
 */
'use strict';
{
  const root = document.documentElement;

  /** @returns {Record<string, string>} the preferences of this device; see preferences.js */
  const chosen = () => {
    try {
      return JSON.parse(localStorage.getItem('parley') ?? '{}');
    } catch {
      return {};
    }
  };
  // A page that embeds a meeting may set its appearance.
  const given = Object.fromEntries(new URLSearchParams(location.pathname.startsWith('/m/') ? location.hash.slice(1) : ''));
  const { language, theme, contrast } = { ...chosen(), ...given };
  /** @type {{tokens?: Record<string, string>}} what control/branding.py inserted */
  const brand = JSON.parse(document.querySelector('meta[name=brand]')?.getAttribute('content') ?? '{}');
  for (const [name, value] of Object.entries(brand.tokens ?? {})) root.style.setProperty(`--brand-${name}`, value);
  if (parent !== window) root.dataset.embedded = 'yes';

  const offered = document.querySelector('meta[name=languages]')?.getAttribute('content') ?? 'en=';
  const tags = offered.split(',').map((one) => one.split('=')[0].trim());
  /** The available language that matches a requested one, exactly or by its primary subtag. @param {string} wish */
  const like = (wish) => tags.find((tag) => tag === wish) ?? tags.find((tag) => tag.split('-')[0] === wish.split('-')[0]);
  root.lang = [language ?? '', ...navigator.languages].map(like).find(Boolean) ?? tags[0];

  if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;
  if (contrast === 'more' || matchMedia('(prefers-contrast: more)').matches) root.dataset.contrast = 'more';

  /** @type {{languages: Record<string, {first: string, admin: string}>, main: string[], routes: Record<string, string[]>}|null} */
  const files = typeof PRELOADS === 'undefined' ? null : PRELOADS;
  if (files) {
    const route = Object.entries(files.routes).find(([pattern]) => new RegExp(pattern).test(location.pathname));
    const words = files.languages[root.lang][location.pathname.startsWith('/admin') ? 'admin' : 'first'];
    for (const href of [...files.main, words, ...(route?.[1] ?? [])]) {
      document.head.append(Object.assign(document.createElement('link'), { rel: 'modulepreload', href }));
    }
  }

  const KEY = 'parley:incomplete';
  const LONGEST = 30_000; // ms

  const before = () => {
    try {
      return Number(sessionStorage.getItem(KEY)) || 0;
    } catch {
      return 5; // without storage, reloads cannot be counted: reload rarely
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
  const again = () => {
    if (waits) return;
    waits = true;
    const tries = before();
    keep(tries + 1);
    const reload = () => location.reload();
    setTimeout(reload, Math.min(500 * 2 ** tries, LONGEST));
    addEventListener('online', reload);
    const notice = /** @type {HTMLElement|null} */ (document.querySelector(`.incomplete[lang="${root.lang}"]`));
    if (notice) notice.hidden = false;
  };

  // Errors of elements do not bubble, so they are captured; main.js reports failed imports.
  addEventListener('error', ({ target }) => target instanceof HTMLScriptElement && again(), true);
  addEventListener('parley:incomplete', again);
  addEventListener('parley:complete', () => waits || keep(0));
}
