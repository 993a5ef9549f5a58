/** Starts the page's workers. */

/**
 * Created with the first worker: a page may load this module twice, and a policy name can be used only once.
 * @type {{createScriptURL(url: string): unknown}|undefined}
 */
let policy;

/**
 * Where a page enforces Trusted Types, it must allow this policy (`trusted-types parley-worker`).
 * @param {string} url of a module @returns {Worker}
 */
export function startWorker(url) {
  if (globalThis.location && new URL(url, location.href).origin !== location.origin) {
    // Browsers refuse workers from other sites, so a local worker imports the module.
    url = URL.createObjectURL(new Blob([`import ${JSON.stringify(url)};`], { type: 'text/javascript' }));
  }
  policy ??= globalThis.trustedTypes?.createPolicy('parley-worker', { createScriptURL: (/** @type {string} */ one) => one });
  return new Worker(/** @type {string} */ (policy?.createScriptURL(url) ?? url), { type: 'module' });
}
