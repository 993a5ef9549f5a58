/**
 * Measures the size at which each track is shown, in device pixels, by a ResizeObserver on its elements.
 */

export class ViewSizes {
  /** @type {Map<Element, {track: string, width: number, height: number}>} */
  #views = new Map();
  #changed;
  #observer;

  /** @param {(track: string, size: {on: boolean, width: number, height: number}) => void} changed */
  constructor(changed) {
    this.#changed = changed;
    this.#observer = new ResizeObserver((entries) => {
      for (const entry of entries) this.#measure(entry);
    });
  }

  /**
   * Request `track` at the size of `element`. An element shows one track; a track may have several elements.
   * @param {Element} element @param {string} track
   */
  watch(element, track) {
    const before = this.#views.get(element);
    if (before?.track === track) return;
    if (before) this.unwatch(element);
    this.#views.set(element, { track, width: 0, height: 0 });
    this.#observer.observe(element);
  }

  /** @param {Element} element */
  unwatch(element) {
    const view = this.#views.get(element);
    if (!view) return;
    this.#views.delete(element);
    this.#observer.unobserve(element);
    this.#report(view.track);
  }

  close() {
    this.#observer.disconnect();
    this.#views.clear();
  }

  /** @param {ResizeObserverEntry} entry */
  #measure(entry) {
    const view = this.#views.get(entry.target);
    if (!view) return;
    const ratio = globalThis.devicePixelRatio || 1;
    view.width = Math.round(entry.contentRect.width * ratio);
    view.height = Math.round(entry.contentRect.height * ratio);
    this.#report(view.track);
  }

  /** @param {string} track */
  #report(track) {
    const views = [...this.#views.values()].filter((view) => view.track === track);
    const width = Math.max(0, ...views.map((view) => view.width));
    const height = Math.max(0, ...views.map((view) => view.height));
    this.#changed(track, { on: width > 0 && height > 0, width, height });
  }
}
