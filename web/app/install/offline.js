/**
 * Script of offline.html, which service-worker.js shows when the server cannot be reached: tells the cause in the user's
 * language, and reloads as soon as the server responds. It is cached alone, so it imports nothing.
 */
const FIRST_MS = 2_000;
const LONGEST_MS = 30_000;

/** @returns {{language?: string, theme?: string, contrast?: string}} see preferences.js */
function chosen() {
  try {
    return JSON.parse(localStorage.getItem('parley') ?? '{}');
  } catch {
    return {};
  }
}

const root = document.documentElement;
/** The operator's colours (control/branding.py). @type {{tokens?: Record<string, string>}} */
const brand = JSON.parse(document.querySelector('meta[name=brand]')?.getAttribute('content') ?? '{}');
for (const [name, value] of Object.entries(brand.tokens ?? {})) root.style.setProperty(`--brand-${name}`, value);
const { language, theme, contrast } = chosen();
const texts = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('main > [lang]')]);
const tags = texts.map((text) => text.lang);
const matching = (/** @type {string} */ wish) => tags.find((tag) => tag === wish) ?? tags.find((tag) => tag.split('-')[0] === wish.split('-')[0]);
root.lang = [language ?? '', ...navigator.languages].map(matching).find(Boolean) ?? tags[0];
if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;
if (contrast === 'more' || matchMedia('(prefers-contrast: more)').matches) root.dataset.contrast = 'more';
for (const text of texts) text.hidden = text.lang !== root.lang;
for (const host of document.querySelectorAll('.host')) host.textContent = location.host;

/** @param {Response|null} [response] any response shows that the network works */
function showCause(response) {
  const cause = response || navigator.onLine ? 'server' : 'device';
  for (const part of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('[data-cause]'))) part.hidden = part.dataset.cause !== cause;
}

/** Reload if the server responds. A failed reload would only show this page again, without its focus. */
async function tryAgain() {
  const response = await fetch('/', { method: 'HEAD', cache: 'no-store' }).catch(() => null);
  showCause(response);
  if (response?.ok) location.reload();
}

let pause = FIRST_MS;
function later() {
  // Random pauses: after an outage, not all pages return at the same time.
  setTimeout(() => void tryAgain().then(later), pause * (0.5 + Math.random()));
  pause = Math.min(pause * 1.5, LONGEST_MS);
}

addEventListener('online', () => void tryAgain());
addEventListener('offline', () => showCause());
for (const button of document.querySelectorAll('button')) button.addEventListener('click', () => void tryAgain());
showCause();
later();
