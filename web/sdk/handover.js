/**
 * Handover of a room that moves to another node: the media of the previous node is shown until the next node sends it.
 *
 * The tracks have new ids on the next node. `begin` keeps the participants and tracks that are not on the next node yet.
 * `successor` returns the previous track that a new one replaces, whose media the new one shows. `arrived` is called once the
 * new track has media of its own.
 *
 * @typedef {import('./roster.js').Roster} Roster
 * @typedef {import('./roster.js').RemoteTrack} RemoteTrack
 */

/** The longest wait for participants who have not reached the next node: a little longer than the previous node sends. */
const WAIT_MS = 9_000;

export class Handover {
  #roster;
  #ended;
  /** Tracks of the previous node that nothing has replaced yet, by id. @type {Map<string, RemoteTrack>} */
  #left = new Map();
  /** Ids of participants who are not on the next node yet. @type {Set<string>} */
  #awaited = new Set();
  /** New tracks that still show the previous node's media. @type {Set<string>} */
  #borrowing = new Set();
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;

  /**
   * @param {Roster} roster
   * @param {(left: {people: string[], tracks: RemoteTrack[], borrowing: string[]}) => void} ended called with the participants and
   *   tracks that did not reach the next node, and the ids of tracks that still show the previous node's media
   */
  constructor(roster, ended) {
    this.#roster = roster;
    this.#ended = ended;
  }

  get active() {
    return this.#timer !== undefined;
  }

  /**
   * Put back the participants and tracks that a room-info of the next node has removed.
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

  /** Note that a participant is on the next node. @param {string} participant @returns {boolean} true if we waited for them */
  joined(participant) {
    const awaited = this.#awaited.delete(participant);
    this.#endIfDone();
    return awaited;
  }

  /** Return the track that a new one replaces, null if there is none. The new one shows its media for now. @param {RemoteTrack} track */
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
