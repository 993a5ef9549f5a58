/**
 * The pictures of the people in a call.
 *
 * Events: `change`.
 */
import { Emitter } from '/sdk/emitter.js';
import { avatarOf } from './avatars.js';
import { rest } from './session.js';

/** People join in bursts; one request is enough. */
const PAUSE_MS = 400;
const MOST = 200;

export class CallAvatars extends Emitter {
  /** @type {Map<string, string>} participant → URL */
  #urls = new Map();
  #call;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;

  /** @param {import('./call.js').Call} call */
  constructor(call) {
    super();
    this.#call = call;
    const { room, signal } = call;
    room.addEventListener('participant-joined', () => this.#soon(), { signal });
    signal.addEventListener('abort', () => clearTimeout(this.#timer));
  }

  /** @param {string} participant @returns {string} '' without a picture */
  of(participant) {
    return this.#urls.get(participant) ?? '';
  }

  #soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#load(), PAUSE_MS);
  }

  async #load() {
    try {
      const { avatars } = await rest.get(`/meetings/${encodeURIComponent(this.#call.place.id)}/avatars`);
      await Promise.all(avatars.slice(0, MOST).map(async (/** @type {{participant: string, user: string, avatar: string}} */ { participant, user, avatar }) => {
        this.#urls.set(participant, await avatarOf(user, avatar));
      }));
    } catch {
      return; // initials do as well
    }
    if (!this.#call.signal.aborted) this.emit('change');
  }
}
