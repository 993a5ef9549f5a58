/**
 * The handover of a room that moves to another node: each person keeps the media that still arrives from the previous node
 * until the next one sends it.
 *
 * Tracks have other ids on the next node. `begin` keeps the people and tracks that have not followed yet; `successor` gives a
 * new track the media of the one that it replaces; `arrived` is called once its own media flows.
 *
 * @typedef {import('./roster.js').Roster} Roster
 * @typedef {import('./roster.js').RemoteTrack} RemoteTrack
 */

/** How long we wait for those who do not follow: a little longer than the previous node sends. */
const WAIT_MS = 9_000;

export class Handover {
  #roster;
  #ended;
  /** Tracks of the previous node that nothing has replaced yet, by id. @type {Map<string, RemoteTrack>} */
  #left = new Map();
  /** People whom the next node has not named yet. @type {Set<string>} */
  #awaited = new Set();
  /** New tracks that still show the previous node's media. @type {Set<string>} */
  #borrowing = new Set();
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;

  /**
   * @param {Roster} roster
   * @param {(left: {people: string[], tracks: RemoteTrack[], borrowing: string[]}) => void} ended called with what the next node
   *   never named, and the tracks that still show the previous node's media
   */
  constructor(roster, ended) {
    this.#roster = roster;
    this.#ended = ended;
  }

  get active() {
    return this.#timer !== undefined;
  }

  /**
   * Put back what a room-info of the next node has removed.
   * @param {{left: import('./roster.js').Participant[], removed: RemoteTrack[]}} change
   */
  begin({ left, removed }) {
    for (const participant of left) {
      this.#roster.participants.set(participant.id, participant);
      this.#awaited.add(participant.id);
    }
    for (const track of removed) {
      this.#roster.tracks.set(track.id, track);
      this.#left.set(track.id, track);
    }
    this.#timer = setTimeout(() => this.end(), WAIT_MS);
    this.#endIfDone();
  }

  /** Note a person on the next node. @param {string} participant @returns {boolean} true if we waited for them */
  named(participant) {
    const awaited = this.#awaited.delete(participant);
    this.#endIfDone();
    return awaited;
  }

  /** Return the track that a new one replaces, and note that it borrows that one's media. @param {RemoteTrack} track */
  successor(track) {
    const old = [...this.#left.values()].find(({ participant, source }) => participant === track.participant && source === track.source);
    if (!old) return null;
    this.#left.delete(old.id);
    this.#roster.tracks.delete(old.id);
    if (old.mediaTrack) this.#borrowing.add(track.id);
    return old;
  }

  /** @param {string} track @returns {boolean} whether it shows media of the previous node */
  borrows(track) {
    return this.#borrowing.has(track);
  }

  /** Note that a track has media of its own, or is gone. @param {string} track */
  arrived(track) {
    this.#left.delete(track);
    this.#borrowing.delete(track);
    this.#endIfDone();
  }

  end() {
    if (!this.active) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const left = { people: [...this.#awaited], tracks: [...this.#left.values()], borrowing: [...this.#borrowing] };
    this.#awaited.clear();
    this.#left.clear();
    this.#borrowing.clear();
    this.#ended(left);
  }

  #endIfDone() {
    if (this.#awaited.size + this.#left.size + this.#borrowing.size === 0) this.end();
  }
}
