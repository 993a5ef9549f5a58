/**
 * The service worker: shows app/install/offline.html, in the place of the page, when the server cannot be reached.
 *
 * Everything else comes from the network: the page is never older than the server, and no response of the API is kept.
 * Files with hashed names are in the browser's own cache, for a year.
 */

/** The build inserts a hash of the cached files: when one of them changes, browsers install this worker again. */
const VERSION = 'sources';
const CACHE = `offline-${VERSION}`;
const PAGE = '/app/install/offline.html';
const SHELL = [PAGE, '/app/install/offline.css', '/app/install/offline.js', '/app/css/tokens.css', '/app/icon.svg'];
/** Responses of a gateway whose server is down. */
const AWAY = [502, 503, 504];

/** Firefox shows its own page when a preloaded navigation fails, whatever this worker answers. */
const PRELOADS_PAGES = !navigator.userAgent.includes('Firefox/');

const worker = /** @type {any} the worker's scope */ (self);

worker.addEventListener('install', (/** @type {any} */ event) => {
  // If the browser supports it, requests that this worker does not handle do not wait for it.
  event.addRoutes?.([{ condition: { not: { or: [{ requestMode: 'navigate' }, ...SHELL.map((pathname) => ({ urlPattern: { pathname } }))] } }, source: 'network' }])
    ?.catch(() => undefined);
  const load = async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll(SHELL.map((path) => new Request(path, { cache: 'no-cache' })));
    await worker.skipWaiting();
  };
  event.waitUntil(load());
});

worker.addEventListener('activate', (/** @type {any} */ event) => {
  const begin = async () => {
    for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name);
    if (PRELOADS_PAGES) await worker.registration.navigationPreload?.enable();
    await worker.clients.claim();
  };
  event.waitUntil(begin());
});

worker.addEventListener('fetch', (/** @type {any} */ event) => {
  const { request } = event;
  if (request.mode === 'navigate') {
    if (request.method === 'GET') event.respondWith(networkOr(request, event.preloadResponse, PAGE));
  } else if (SHELL.includes(new URL(request.url).pathname)) {
    event.respondWith(networkOr(request, fetch(request), request));
  }
});

/**
 * The server's response, or that of the cache if there is none.
 * @param {Request} request @param {Promise<Response|undefined>} loading @param {Request|string} kept @returns {Promise<Response>}
 */
async function networkOr(request, loading, kept) {
  let response = null;
  try {
    response = (await loading) ?? (await fetch(request));
    if (!AWAY.includes(response.status)) return response;
  } catch {
    // The network failed.
  }
  return (await caches.match(kept)) ?? response ?? Response.error();
}
