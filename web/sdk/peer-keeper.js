/**
 * Keeps the two peers alive: a peer that fails is replaced with a new one, with back-off. So is one that stays silent while
 * signaling works, for example because our address has changed, and one that never begins to connect, because its
 * description or the answer to it was lost.
 */
import { delayBefore } from './backoff.js';
import { Silence, trafficOf } from './silence.js';

/** Browsers wait forever for the answer to an offer. */
const NEW_MS = 30_000;
/** The interval for asking how long a peer has been silent, and the one while its path is in doubt. */
const LISTEN_MS = 1_000;
const DOUBT_MS = 250;
/** The most readings in doubt while signaling is answered. An idle peer of Firefox sends nothing that must be answered. */
const DOUBTS = 20;
/** Silence of this length means that media is lost. Signaling is then probed. */
const SILENT_MS = 3_000;
/** A peer in doubt is replaced after this silence, if signaling is answered: a path that recovers with it answers sooner. */
const UNANSWERED_MS = 1_000;

export class PeerKeeper {
  #watches;

  /**
   * @param {import('./publish-peer.js').PublishPeer} publish
   * @param {import('./subscribe-peer.js').SubscribePeer} subscribe
   * @param {() => boolean} canSignal whether a restart can be signaled now
   * @param {() => boolean} answered whether signaling has been answered since it was last probed
   * @param {() => void} changed is called when `mediaState` may have changed and no peer has reported a state
   */
  constructor(publish, subscribe, canSignal, answered, changed) {
    this.#watches = [publish, subscribe].map((peer) => new Watch(peer, canSignal, answered, changed));
  }

  /** Doubt both paths, since signaling was lost. */
  doubt() {
    for (const watch of this.#watches) watch.doubt();
  }

  /** Check both peers after signaling was restored: one that failed meanwhile could not be replaced. */
  check() {
    for (const watch of this.#watches) watch.check();
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
  #answered;
  #changed;
  #attempt = 0;
  #wasConnected = false;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;
  /** The connection whose silence is measured. @type {RTCPeerConnection|null} */
  #measured = null;
  #silence = new Silence();
  /** The length of the silence, in ms. */
  #silent = 0;
  /** Readings left while the path is in doubt. */
  #doubts = 0;
  /** @type {ReturnType<typeof setInterval>|undefined} */
  #listening;

  /**
   * @param {import('./publish-peer.js').PublishPeer|import('./subscribe-peer.js').SubscribePeer} peer
   * @param {() => boolean} canSignal @param {() => boolean} answered @param {() => void} changed
   */
  constructor(peer, canSignal, answered, changed) {
    this.#peer = peer;
    this.#canSignal = canSignal;
    this.#answered = answered;
    this.#changed = changed;
    peer.addEventListener('state', () => this.check());
  }

  doubt() {
    if (!this.#measured) return;
    this.#listen(DOUBT_MS);
    this.#doubts = DOUBTS;
  }

  /** @returns {'idle'|'connecting'|'connected'|'lost'} */
  state() {
    const state = this.#peer.connection?.connectionState ?? 'new';
    if (state === 'connected') return this.#silent < SILENT_MS ? 'connected' : 'lost';
    if (this.#wasConnected || state === 'failed' || state === 'closed') return 'lost';
    return state === 'new' ? 'idle' : 'connecting';
  }

  renewed() {
    this.#wasConnected = false;
  }

  check() {
    const connection = this.#peer.connection;
    const state = connection?.connectionState;
    if (connection && state === 'connected') {
      this.#attempt = 0;
      this.#wasConnected = true;
      this.#forget();
      if (connection !== this.#measured) this.#measure(connection);
    } else if (state === 'disconnected') {
      this.doubt();
      void this.#hear();
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
    this.#measure(null);
  }

  /** @param {RTCPeerConnection|null} connection whose silence to measure, from now on */
  #measure(connection) {
    this.#measured = connection;
    this.#silence = new Silence();
    this.#silent = 0;
    this.#doubts = 0;
    this.#listen(connection && LISTEN_MS);
  }

  /** @param {number|null} ms */
  #listen(ms) {
    clearInterval(this.#listening);
    if (ms) this.#listening = setInterval(() => void this.#hear(), ms);
  }

  /** Measure the silence, and replace the peer if it has lasted too long. */
  async #hear() {
    const measured = this.#measured;
    if (!measured || measured !== this.#peer.connection) return;
    const traffic = trafficOf(await measured.getStats());
    if (measured !== this.#measured) return;
    const before = this.#silent;
    this.#silent = this.#silence.take(traffic, performance.now(), measured.connectionState === 'disconnected');
    if (before < SILENT_MS !== this.#silent < SILENT_MS) {
      if (this.#silent) this.doubt();
      this.#changed();
    }
    if (!this.#doubts || !this.#answered()) return;
    if (this.#silent > UNANSWERED_MS) {
      this.#replace();
    } else {
      this.#doubts = this.#silence.heard ? 0 : this.#doubts - 1;
      if (!this.#doubts) this.#listen(LISTEN_MS);
    }
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
      if (this.#canSignal() && isDue()) this.#replace();
    }, ms);
  }

  #replace() {
    this.#measure(null);
    this.#attempt += 1;
    void this.#peer.restart();
  }
}

/**
 * Return true for a peer that has been described, but has not begun to connect. One that is prepared ahead has no description.
 * @param {RTCPeerConnection} connection
 */
function isUnanswered(connection) {
  return connection.connectionState === 'new' && connection.localDescription !== null;
}
