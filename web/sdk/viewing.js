/** Tells the server which tracks this page shows, once the layout has settled and while the page is visible. */
import { ViewSizes } from './view-sizes.js';
import { Wishes } from './wishes.js';

/** The delay before sizes are sent: the layout may still be changing. */
const DELAY_MS = 150;

export class Viewing {
  #ready;
  #send;
  #wishes = new Wishes();
  #sizes = new ViewSizes((track, size) => this.set(track, size));
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;
  #visibility = () => this.#visibilityChanged();
  /** The places that show videos while the page is hidden: for example, a separate window. @type {Set<string>} */
  #elsewhere = new Set();

  /**
   * @param {() => boolean} ready whether messages can be sent
   * @param {(tracks: import('./wishes.js').WantedTrack[]) => void} send
   */
  constructor(ready, send) {
    this.#ready = ready;
    this.#send = send;
  }

  open() {
    document.addEventListener('visibilitychange', this.#visibility);
    this.#wishes.setHidden(this.#isHidden);
  }

  /** Note that a place other than the page shows videos, or no longer does. @param {string} place @param {boolean} on */
  keep(place, on) {
    if (on) this.#elsewhere.add(place);
    else this.#elsewhere.delete(place);
    this.#visibilityChanged();
  }

  get #isHidden() {
    return document.hidden && this.#elsewhere.size === 0;
  }

  close() {
    document.removeEventListener('visibilitychange', this.#visibility);
    clearTimeout(this.#timer);
    this.#sizes.close();
  }

  /** @param {string} track @param {'audio'|'video'} media */
  add(track, media) {
    this.#wishes.add(track, media);
    if (this.#isHidden) this.#schedule();
  }

  /** @param {string} track */
  remove(track) {
    this.#wishes.remove(track);
  }

  /** @param {string} track @param {{on?: boolean, width?: number, height?: number}} wish */
  set(track, wish) {
    this.#wishes.set(track, wish);
    this.#schedule();
  }

  /** @param {Element} element @param {string} track */
  watch(element, track) {
    this.#sizes.watch(element, track);
  }

  /** @param {Element} element */
  unwatch(element) {
    this.#sizes.unwatch(element);
  }

  /** Forget what was sent, because the server has lost our state. */
  restart() {
    this.#wishes.restart();
  }

  /** Send now what the server does not know yet. */
  flush() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#ready()) return;
    const tracks = this.#wishes.changes();
    if (tracks.length > 0) this.#send(tracks);
  }

  #schedule() {
    this.#timer ??= setTimeout(() => this.flush(), DELAY_MS);
  }

  #visibilityChanged() {
    this.#wishes.setHidden(this.#isHidden);
    this.flush();
  }
}
