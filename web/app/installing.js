/** Registers the service worker, which shows a separate page when the server cannot be reached. */

const WORKER = '/service-worker.js';

export async function registerWorker() {
  const workers = navigator.serviceWorker; // absent without HTTPS
  if (!workers) return;
  const policy = globalThis.trustedTypes?.createPolicy('parley-page', { createScriptURL: (/** @type {string} */ url) => url });
  try {
    await workers.register(/** @type {any} */ (policy?.createScriptURL(WORKER) ?? WORKER), { updateViaCache: 'none' });
  } catch {
    // Storage is forbidden, or the server went away: the page works without it.
  }
}
