/**
 * Keeps the two peers alive: a peer that stays disconnected, or fails, is replaced with a new one, with back-off. So is one
 * that never begins to connect, because its description or the answer to it was lost.
 */
import { delayBefore } from './backoff.js';

/** A short gap (a roaming phone, a lost burst) recovers by itself; after this time a new peer is faster. */
const PATIENCE_MS = 4_000;
/** Browsers wait forever for the answer to an offer. */
const NEW_MS = 30_000;

export class PeerKeeper {
  #watches;

  /**
   * @param {import('./publish-peer.js').PublishPeer} publish
   * @param {import('./subscribe-peer.js').SubscribePeer} subscribe
   * @param {() => boolean} canSignal whether a restart can be signaled now
   */
  constructor(publish, subscribe, canSignal) {
    this.#watches = [new Watch(publish, canSignal), new Watch(subscribe, canSignal)];
  }

  /** Check both peers after signaling was restored. A peer that was lost with it will not recover. */
  check() {
    for (const watch of this.#watches) watch.check(0);
  }

  /** Note that we attend anew, at another server perhaps: the peers are replaced, and connecting is no sign of a loss. */
  renewed() {
    for (const watch of this.#watches) watch.renewed();
  }

  /** @returns {'connecting'|'connected'|'media-lost'} the state of both peers together; a peer without media does not count */
  mediaState() {
    const states = this.#watches.map((watch) => watch.state());
    if (states.includes('lost')) return 'media-lost';
    return states.includes('connecting') ? 'connecting' : 'connected';
  }

  close() {
    for (const watch of this.#watches) watch.close();
  }
}

class Watch {
  #peer;
  #canSignal;
  #attempt = 0;
  #wasConnected = false;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;

  /** @param {import('./publish-peer.js').PublishPeer|import('./subscribe-peer.js').SubscribePeer} peer @param {() => boolean} canSignal */
  constructor(peer, canSignal) {
    this.#peer = peer;
    this.#canSignal = canSignal;
    peer.addEventListener('state', () => this.check());
  }

  /** @returns {'idle'|'connecting'|'connected'|'lost'} */
  state() {
    const state = this.#peer.connection?.connectionState ?? 'new';
    if (state === 'connected') return 'connected';
    if (this.#wasConnected || state === 'failed' || state === 'closed') return 'lost';
    return state === 'new' ? 'idle' : 'connecting';
  }

  renewed() {
    this.#wasConnected = false;
  }

  /** @param {number} [patience] maximum time that a peer may be disconnected, in ms */
  check(patience = PATIENCE_MS) {
    const connection = this.#peer.connection;
    const state = connection?.connectionState;
    if (state === 'connected') {
      this.#attempt = 0;
      this.#wasConnected = true;
      this.#forget();
    } else if (state === 'disconnected') {
      if (patience < PATIENCE_MS) this.#forget();
      this.#schedule(patience);
    } else if (state === 'failed' || state === 'closed') {
      this.#forget();
      this.#schedule(delayBefore(this.#attempt));
    } else if (connection && isUnanswered(connection)) {
      this.#forget();
      this.#schedule(NEW_MS, () => this.#peer.connection === connection && isUnanswered(connection));
    }
  }

  close() {
    this.#forget();
  }

  #forget() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** @param {number} ms @param {() => boolean} [isDue] whether the peer must still be replaced then */
  #schedule(ms, isDue = () => true) {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      // A restart needs signaling; `check` is called again once it is restored.
      if (!this.#canSignal() || !isDue()) return;
      this.#attempt += 1;
      void this.#peer.restart();
    }, ms);
  }
}

/**
 * Return true for a peer that has been described, but has not begun to connect. One that is prepared ahead has no description.
 * @param {RTCPeerConnection} connection
 */
function isUnanswered(connection) {
  return connection.connectionState === 'new' && connection.localDescription !== null;
}
