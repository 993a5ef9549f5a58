/**
 * Slots of the subscribe peer: the track that each m-section (mid) carries at the moment.
 *
 * The server repoints slots without SDP, so a MediaStreamTrack belongs to a mid and never to a participant. Only this map
 * says whose video it shows.
 */

export class Slots {
  /** @type {Map<string, string>} mid → track */
  #tracks = new Map();
  /** @type {Map<string, MediaStreamTrack>} mid → the MediaStreamTrack received there */
  #media = new Map();
  /** @type {Map<string, MediaStreamTrack>} track → what `update` last reported */
  #reported = new Map();

  /**
   * Replace the map with one from the server.
   * @param {{mid: string, track?: string|null}[]} slots
   * @returns {Map<string, MediaStreamTrack|null>} tracks whose media changed; null if no media arrives any more
   */
  assign(slots) {
    this.#tracks = new Map(slots.flatMap(({ mid, track }) => (track ? [[mid, track]] : [])));
    return this.#update();
  }

  /** @param {string} mid @param {MediaStreamTrack} media */
  attach(mid, media) {
    this.#media.set(mid, media);
    return this.#update();
  }

  /** Drop all media, because the peer is closed. The map stays until the server sends a new one. */
  detachAll() {
    this.#media.clear();
    return this.#update();
  }

  /** @param {string} track @returns {MediaStreamTrack|null} */
  mediaOf(track) {
    return this.#reported.get(track) ?? null;
  }

  #update() {
    const now = new Map();
    for (const [mid, track] of this.#tracks) {
      const media = this.#media.get(mid);
      if (media) now.set(track, media);
    }
    const changed = new Map();
    for (const [track, media] of this.#reported) {
      if (now.get(track) !== media) changed.set(track, now.get(track) ?? null);
    }
    for (const [track, media] of now) {
      if (!this.#reported.has(track)) changed.set(track, media);
    }
    this.#reported = now;
    return changed;
  }
}
