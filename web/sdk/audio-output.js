/**
 * Plays a room's sound. Each audio track of the roster gets an audio element. If the browser requires a gesture first,
 * it emits `blocked`; call `resume` from a click to play.
 *
 * Events: `blocked`, `playing`.
 */
import { Emitter } from './emitter.js';

export class AudioOutput extends Emitter {
  /** @type {Map<string, HTMLAudioElement>} track → element */
  #elements = new Map();
  #speaker = '';
  #stop = new AbortController();

  /** @param {import('./room.js').Room} room */
  constructor(room) {
    super();
    const { signal } = this.#stop;
    room.addEventListener('track-media', ({ detail }) => this.#show(detail), { signal });
    room.addEventListener('track-unpublished', ({ detail }) => this.#remove(detail.id), { signal });
    for (const track of room.roster.tracks.values()) this.#show(track);
  }

  /** @param {string} deviceId '' for the system's choice */
  async setSpeaker(deviceId) {
    this.#speaker = deviceId;
    await Promise.all([...this.#elements.values()].map((element) => element.setSinkId?.(deviceId)));
  }

  /** Play the sound that the browser blocked; call it from a user gesture. */
  async resume() {
    await Promise.all([...this.#elements.values()].map((element) => element.play()));
    this.emit('playing');
  }

  close() {
    this.#stop.abort();
    for (const track of [...this.#elements.keys()]) this.#remove(track);
  }

  /** @param {import('./roster.js').RemoteTrack} track */
  #show(track) {
    if (track.media !== 'audio') return;
    if (!track.mediaTrack) {
      this.#remove(track.id);
      return;
    }
    let element = this.#elements.get(track.id);
    if (!element) {
      element = new Audio();
      element.autoplay = true;
      if (this.#speaker) void element.setSinkId?.(this.#speaker).catch(() => this.#useDefaultSpeaker());
      this.#elements.set(track.id, element);
    }
    element.srcObject = new MediaStream([track.mediaTrack]);
    element.play().catch((error) => {
      if (error.name === 'NotAllowedError') this.emit('blocked');
    });
  }

  /** The chosen speaker was unplugged. */
  #useDefaultSpeaker() {
    this.#speaker = '';
  }

  /** @param {string} track */
  #remove(track) {
    const element = this.#elements.get(track);
    if (!element) return;
    element.srcObject = null;
    this.#elements.delete(track);
  }
}
