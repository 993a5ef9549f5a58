/**
 * The document that participants write and draw in together. Updates are sent to the others over data channels, and to the
 * server, which stores them with the meeting for later participants. Loaded with the first panel that needs it.
 *
 * Events: `written` ({participant}): another participant changed something.
 */
import { Emitter } from '/sdk/emitter.js';
import { Doc, applyUpdate, mergeUpdates } from '/vendor/yjs.js';
import { codeOf, sentenceOf } from './format.js';
import { rest } from './session.js';
import { toast } from './toasts.js';

export const OWN = 'own';
const OTHERS = 'others';
const TOPIC = 'parley-document';
const LIVE_MS = 60;
const STORE_MS = 600;
const RETRY_MS = 4_000;
/** The interval of requests for updates that did not arrive over data channels. */
const ASK_MS = 8_000;
/** Limits of updates: data channel messages have at most 64 KiB with the topic; the server accepts 180,000 bytes. */
const MOST_LIVE = 60_000;
const MOST_STORED = 170_000;
/** The total of bytes accepted from others. */
const MOST_TAKEN = 8_000_000;
/** The number of updates from which they are merged. */
const MANY = 100;

/** @type {WeakMap<import('./call.js').Call, SharedDocument>} */
const documents = new WeakMap();

/** Return the document of our current room. @param {import('./call.js').Call} call @returns {SharedDocument} */
export function documentOf(call) {
  const known = documents.get(call);
  if (known && known.place === call.place.id) return known;
  known?.close();
  const made = new SharedDocument(call.room, call.place.id, call.signal);
  documents.set(call, made);
  return made;
}

export class SharedDocument extends Emitter {
  doc = new Doc();
  place;
  #room;
  #closed = new AbortController();
  /** The number of the last update received from the server. */
  #last = 0;
  #taken = 0;
  /** Own updates that the others, and the server, do not have yet. @type {{live: Uint8Array[], stored: Uint8Array[]}} */
  #pending = { live: [], stored: [] };
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #liveTimer;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #storeTimer;
  #asking = false;

  /** @param {import('/sdk/parley.js').Room} room @param {string} place @param {AbortSignal} signal */
  constructor(room, place, signal) {
    super();
    this.#room = room;
    this.place = place;
    signal.addEventListener('abort', () => this.close(), { signal: this.#closed.signal });
    room.addEventListener('data', ({ detail }) => detail.topic === TOPIC && this.#take(detail.payload, detail.participant), { signal: this.#closed.signal });
    room.addEventListener('connection', ({ detail }) => detail.state === 'connected' && void this.#ask(), { signal: this.#closed.signal });
    this.doc.on('update', (/** @type {Uint8Array} */ update, /** @type {unknown} */ origin) => origin !== OTHERS && this.#changed(update));
    const timer = setInterval(() => void this.#ask(), ASK_MS);
    this.#closed.signal.addEventListener('abort', () => clearInterval(timer));
    void this.#ask();
  }

  get mayWrite() {
    return this.#room.grants.data;
  }

  close() {
    clearTimeout(this.#liveTimer);
    void this.#store();
    this.#closed.abort();
  }

  get #path() {
    return `/meetings/${encodeURIComponent(this.place)}/document`;
  }

  /** @param {Uint8Array} update */
  #changed(update) {
    this.#pending.live.push(update);
    this.#pending.stored.push(update);
    this.#liveTimer ??= setTimeout(() => this.#tell(), LIVE_MS);
    this.#storeTimer ??= setTimeout(() => void this.#store(), STORE_MS);
  }

  #tell() {
    this.#liveTimer = undefined;
    const update = mergeUpdates(this.#pending.live.splice(0));
    // The others get updates that are too large, or cannot be sent now, from the server.
    if (update.length <= MOST_LIVE) void this.#room.publishData(update, { topic: TOPIC }).catch(() => undefined);
  }

  async #store() {
    clearTimeout(this.#storeTimer);
    this.#storeTimer = undefined;
    const own = this.#pending.stored.splice(0);
    if (own.length === 0) return;
    try {
      await rest.post(this.#path, { update: base64(mergeUpdates(own)) });
    } catch (error) {
      if (['document_full', 'document_sealed', 'not_permitted', 'invalid_request'].includes(codeOf(error))) return toast(sentenceOf(error), 'problem');
      this.#pending.stored.unshift(...own);
      if (!this.#closed.signal.aborted) this.#storeTimer ??= setTimeout(() => void this.#store(), RETRY_MS);
    }
  }

  /** Request new updates. */
  async #ask() {
    if (this.#asking || document.hidden || this.#room.connection.state !== 'connected') return;
    this.#asking = true;
    try {
      const { updates } = await rest.get(`${this.#path}?after=${this.#last}`);
      const isFirst = this.#last === 0;
      for (const { id, update } of updates) {
        this.#apply(bytesOf(update));
        this.#last = id;
      }
      if (isFirst && updates.length > MANY && this.mayWrite) await this.#condense(updates);
    } catch {
      // The request is repeated soon; a lost connection is shown elsewhere.
    } finally {
      this.#asking = false;
    }
  }

  /** Merge the first of many updates on the server. @param {{id: number, update: string}[]} updates */
  async #condense(updates) {
    const some = [];
    let bytes = 0;
    for (const { id, update } of updates) {
      const data = bytesOf(update);
      bytes += data.length;
      if (bytes > MOST_STORED && some.length > 1) break;
      if (bytes > MOST_STORED) some.splice(0);
      some.push({ id, data });
    }
    const [first] = some;
    const last = some.at(-1);
    if (!last || some.length < 2) return;
    await rest.post(this.#path, { update: base64(mergeUpdates(some.map(({ data }) => data))), replaces: [first.id, last.id] });
  }

  /** @param {Uint8Array} update @param {string} participant */
  #take(update, participant) {
    this.#taken += update.length;
    if (this.#taken <= MOST_TAKEN && this.#apply(update)) this.emit('written', { participant });
  }

  /** @param {Uint8Array} update @returns {boolean} true if it is valid */
  #apply(update) {
    try {
      applyUpdate(this.doc, update, OTHERS);
      return true;
    } catch {
      return false; // not an update
    }
  }
}

/** @param {Uint8Array} bytes @returns {string} */
function base64(bytes) {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

/** @param {string} text base64 @returns {Uint8Array} */
function bytesOf(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
