/** Starts the worker of camera effects. */
import { startWorker } from '/sdk/workers.js';

/** @returns {Worker} */
export function startEffectsWorker() {
  return startWorker(new URL('./effects-worker.js', import.meta.url).href);
}
