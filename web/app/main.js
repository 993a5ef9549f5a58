/** The page: routes addresses to views. A view is shown with an AbortSignal that ends what it started. */
import { showAccount } from './account.js';
import { showResetPassword, showUndoEmail, showVerifyEmail } from './account-links.js';
import { h } from './dom.js';
import { showHome } from './home.js';
import { showMeeting } from './meeting-page.js';
import { showRecordings } from './recordings.js';
import { showSetup } from './setup.js';
import { sentenceOf } from './format.js';

/** @type {[RegExp, (page: HTMLElement, context: Context) => void|Promise<void>][]} */
const ROUTES = [
  [/^\/$/, showHome],
  [/^\/account\/?$/, showAccount],
  [/^\/setup\/?$/, showSetup],
  [/^\/reset-password\/?$/, showResetPassword],
  [/^\/undo-email\/?$/, showUndoEmail],
  [/^\/verify-email\/?$/, showVerifyEmail],
  [/^\/m\/([^/]+)\/?$/, showMeeting],
  [/^\/m\/([^/]+)\/recordings\/?$/, showRecordings],
];

/**
 * @typedef {{parameters: string[], query: URLSearchParams, signal: AbortSignal, navigate: (path: string) => void}} Context
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
  page.replaceChildren();
  document.body.className = '';
  document.title = 'Parley';
  const query = new URLSearchParams(location.search);
  for (const [pattern, show] of ROUTES) {
    const match = pattern.exec(location.pathname);
    if (!match) continue;
    try {
      await show(page, { parameters: match.slice(1).map(decodeURIComponent), query, signal, navigate });
    } catch (error) {
      if (!signal.aborted) showProblem(sentenceOf(error));
    }
    return;
  }
  showProblem('There is no page at this address.');
}

/** @param {string} sentence */
function showProblem(sentence) {
  page.replaceChildren(
    h('main', { class: 'centred' },
      h('div', { class: 'card notice' },
        h('h1', {}, 'Something went wrong'),
        h('p', {}, sentence),
        h('a', { class: 'button', href: '/' }, 'Go to the home page'))),
  );
}

document.addEventListener('click', (event) => {
  /** @type {HTMLAnchorElement|null} */
  const anchor = event.target instanceof Element ? event.target.closest('a[href^="/"]') : null;
  if (!anchor || anchor.target || anchor.hasAttribute('download') || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  navigate(anchor.getAttribute('href') ?? '/');
});
addEventListener('popstate', () => void route());
void route();
