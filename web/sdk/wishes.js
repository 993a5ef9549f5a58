/**
 * The size that a subscriber needs for each track, and the changes that are not sent yet.
 *
 * By default a track has no particular size, which needs no message. While the page is hidden, video is
 * off and sound stays on.
 *
 * @typedef {{track: string, on?: boolean, width?: number, height?: number}} WantedTrack sizes in device pixels
 */

/** Sizes that differ by less than this fraction count as equal: a scroll bar must not cause a layer switch. */
const TOLERANCE = 0.05;

export class Wishes {
  /** @type {Map<string, {media: 'audio'|'video', on: boolean, width: number, height: number}>} */
  #wanted = new Map();
  /** @type {Map<string, {on: boolean, width: number, height: number}>} */
  #sent = new Map();
  #hidden = false;

  /** @param {string} track @param {'audio'|'video'} media */
  add(track, media) {
    if (!this.#wanted.has(track)) this.#wanted.set(track, { media, on: true, width: 0, height: 0 });
  }

  /** @param {string} track */
  remove(track) {
    this.#wanted.delete(track);
    this.#sent.delete(track);
  }

  /** @param {string} track @param {{on?: boolean, width?: number, height?: number}} wish */
  set(track, wish) {
    const wanted = this.#wanted.get(track);
    if (wanted) Object.assign(wanted, wish);
  }

  /** @param {boolean} hidden true if the page is hidden */
  setHidden(hidden) {
    this.#hidden = hidden;
  }

  /** Forget what was sent, because the server has lost our state. */
  restart() {
    this.#sent.clear();
  }

  /** @returns {WantedTrack[]} the changes to send now, which then count as sent */
  changes() {
    const list = [];
    for (const [track, wanted] of this.#wanted) {
      const now = {
        on: wanted.on && !(this.#hidden && wanted.media === 'video'),
        width: Math.round(wanted.width),
        height: Math.round(wanted.height),
      };
      const before = this.#sent.get(track) ?? { on: true, width: 0, height: 0 };
      if (now.on === before.on && near(now.width, before.width) && near(now.height, before.height)) continue;
      this.#sent.set(track, now);
      list.push({ track, ...now });
    }
    return list;
  }
}

/** @param {number} a @param {number} b */
function near(a, b) {
  if (a === 0 || b === 0) return a === b;
  return Math.abs(a - b) <= TOLERANCE * Math.max(a, b);
}
