/** The page: routes addresses to views. A view is shown with an AbortSignal that ends what it started. */
import './core.js';
import { brandName, foot } from './brand.js';
import { h } from './dom.js';
import { sentenceOf } from './format.js';
import { registerWorker } from './installing.js';
import { loadMoreWords, loadWords, t } from './words.js';

/**
 * The view for each address; a view is loaded when it is first shown.
 * @type {[RegExp, () => Promise<(page: HTMLElement, context: Context) => void|Promise<void>>][]}
 */
const ROUTES = [
  [/^\/$/, async () => (await import('./home.js')).showHome],
  [/^\/account\/?$/, async () => (await import('./account.js')).showAccount],
  [/^\/admin(?:\/([a-z]+))?\/?$/, async () => (await Promise.all([import('./admin.js'), loadMoreWords('admin')]))[0].showAdmin],
  [/^\/setup\/?$/, async () => (await import('./setup.js')).showSetup],
  [/^\/reset-password\/?$/, async () => (await import('./account-links.js')).showResetPassword],
  [/^\/undo-email\/?$/, async () => (await import('./account-links.js')).showUndoEmail],
  [/^\/verify-email\/?$/, async () => (await import('./account-links.js')).showVerifyEmail],
  [/^\/recordings\/?$/, async () => (await import('./all-recordings.js')).showAllRecordings],
  [/^\/recordings\/([^/]+)\/?$/, async () => (await import('./recording-page.js')).showRecording],
  [/^\/s\/([^/]+)\/?$/, async () => (await import('./recording-page.js')).showShared],
  [/^\/m\/([^/]+)\/?$/, async () => (await import('./meeting-page.js')).showMeeting],
  [/^\/m\/([^/]+)\/recordings\/?$/, async () => (await import('./recordings.js')).showRecordings],
];

/**
 * @typedef {{parameters: string[], query: URLSearchParams, signal: AbortSignal, navigate: (path: string) => void,
 *   again: () => void}} Context `again` rebuilds the view, for example in another language
 */

const page = /** @type {HTMLElement} */ (document.getElementById('page'));
let current = new AbortController();

/** @param {string} path */
function navigate(path) {
  history.pushState(null, '', path);
  void route();
}

async function route() {
  current.abort();
  current = new AbortController();
  const { signal } = current;
  const query = new URLSearchParams(location.search);
  for (const [pattern, load] of ROUTES) {
    const match = pattern.exec(location.pathname);
    if (!match) continue;
    try {
      const show = await needed(load());
      if (signal.aborted) return;
      clear();
      await show(page, { parameters: match.slice(1).filter((part) => part !== undefined).map(decodeURIComponent), query, signal, navigate, again: () => void route() });
    } catch (error) {
      if (!signal.aborted) showProblem(sentenceOf(error));
    }
    return;
  }
  clear();
  showProblem(t('route.unknown'));
}

function clear() {
  page.replaceChildren();
  page.removeAttribute('aria-busy');
  document.body.className = '';
  document.title = brandName();
  document.querySelector('.foot')?.remove();
  const links = foot();
  if (links) page.after(links);
}

/** Load a module that the page needs; reload the page if it does not load. @template T @param {Promise<T>} loading @returns {Promise<T>} */
async function needed(loading) {
  try {
    return await loading;
  } catch {
    dispatchEvent(new Event('parley:incomplete'));
    return new Promise(() => undefined);
  }
}

/** @param {string} sentence */
function showProblem(sentence) {
  page.replaceChildren(
    h('main', { class: 'centred' },
      h('div', { class: 'card notice' },
        h('h1', {}, t('problem.title')),
        h('p', {}, sentence),
        h('a', { class: 'button', href: '/' }, t('problem.home')))),
  );
}

document.addEventListener('click', (event) => {
  /** @type {HTMLAnchorElement|null} */
  const anchor = event.target instanceof Element ? event.target.closest('a[href^="/"]') : null;
  if (!anchor || anchor.target || anchor.hasAttribute('download') || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  // A frame shows only its meeting; other links open in a new tab.
  if (document.documentElement.dataset.embedded) window.open(anchor.href, '_blank', 'noopener');
  else navigate(anchor.getAttribute('href') ?? '/');
});
addEventListener('popstate', () => void route());
await needed(loadWords(location.pathname.startsWith('/admin') ? 'admin' : 'first'));
void route().then(() => {
  dispatchEvent(new Event('parley:complete'));
  // Last: its requests are not needed by any screen.
  if (!document.documentElement.dataset.embedded) void registerWorker();
});
