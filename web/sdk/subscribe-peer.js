/**
 * The subscribe peer: one RTCPeerConnection that only receives; the server offers.
 *
 * The server never restarts ICE on a peer, so an offer with a different ice-ufrag is for a new peer, whichever side requested it.
 *
 * Events: `media` (detail: {mid, mediaTrack}), `gone` (the old peer's media ended), `state` (detail: RTCPeerConnectionState),
 * `failed` (detail: Error).
 */
import { withAudioNack } from './audio-repair.js';
import { DataChannels } from './data-channels.js';
import { Emitter } from './emitter.js';
import { Serial } from './serial.js';
import { withStereo } from './stereo.js';

export class SubscribePeer extends Emitter {
  /** The data channels, which outlive a peer. */
  data = new DataChannels();
  #send;
  #encryption;
  /** @type {RTCIceServer[]} */
  #iceServers = [];
  /** @type {RTCPeerConnection|null} */
  #pc = null;
  /** The peer of the previous node, while the room moves. @type {RTCPeerConnection|null} */
  #previous = null;
  #ufrag = '';
  #serial = new Serial();

  /** @param {{send: (message: import('./signaling.js').Message) => boolean, encryption?: import('./encryption.js').Encryption}} options */
  constructor({ send, encryption }) {
    super();
    this.#encryption = encryption;
    this.#send = send;
  }

  /** The RTCPeerConnection, or null before the first offer. */
  get connection() {
    return this.#pc;
  }

  /** @param {RTCIceServer[]} servers */
  setIceServers(servers) {
    this.#iceServers = servers;
    this.#pc?.setConfiguration({ ...this.#pc.getConfiguration(), iceServers: servers });
  }

  /** Create the RTCPeerConnection ahead of the first offer. */
  prepare() {
    this.#open();
  }

  /** @param {{sdp: string, id?: number}} offer */
  accept(offer) {
    return this.#serial.run(async () => {
      const ufrag = ufragOf(offer.sdp);
      if (this.#ufrag && this.#ufrag !== ufrag) this.#discard();
      this.#ufrag = ufrag;
      const pc = this.#open();
      await pc.setRemoteDescription({ type: 'offer', sdp: offer.sdp });
      for (const { receiver } of pc.getTransceivers()) this.#encryption?.decrypt(receiver);
      const answer = await pc.createAnswer();
      await pc.setLocalDescription({ type: 'answer', sdp: withStereo(withAudioNack(answer.sdp ?? '', offer.sdp)) });
      if (pc !== this.#pc) return;
      this.#send({ kind: 'answer', peer: 'subscribe', id: offer.id ?? 0, sdp: pc.localDescription?.sdp ?? '' });
      this.#announce(pc);
      this.emit('state', pc.connectionState); // if it stays `new`, nothing else says so
    }).catch((error) => this.emit('failed', error));
  }

  /** Close the peer and request an offer for a new one. */
  restart() {
    return this.#serial.run(async () => {
      this.#discard();
      this.#send({ kind: 'restart-subscribe' });
    });
  }

  /**
   * Keep receiving from the node that the room leaves, and prepare for the offer of the next one.
   * @returns {boolean} false if nothing arrives from there
   */
  keepPrevious() {
    if (this.#pc?.connectionState !== 'connected') return false;
    this.dropPrevious();
    this.#previous = this.#pc;
    this.#pc = null;
    this.#ufrag = '';
    this.data.close();
    return true;
  }

  /** Stop receiving from the previous node. */
  dropPrevious() {
    this.#previous?.close();
    this.#previous = null;
  }

  /** Drop the peer: the server lost it and will offer another. */
  reset() {
    return this.#serial.run(async () => this.#discard());
  }

  close() {
    this.dropPrevious();
    this.#discard();
  }

  /** @param {RTCPeerConnection} pc */
  #announce(pc) {
    for (const { mid, receiver } of pc.getTransceivers()) {
      if (mid !== null) this.emit('media', { mid, mediaTrack: receiver.track });
    }
  }

  #open() {
    if (this.#pc) return this.#pc;
    const pc = new RTCPeerConnection({ iceServers: this.#iceServers, bundlePolicy: 'max-bundle' });
    pc.addEventListener('connectionstatechange', () => {
      if (pc === this.#pc) this.emit('state', pc.connectionState);
    });
    this.data.open(pc);
    this.#pc = pc;
    return pc;
  }

  #discard() {
    if (!this.#pc) return;
    this.data.close();
    this.#pc.close();
    this.#pc = null;
    this.#ufrag = '';
    this.emit('gone');
  }
}

/** @param {string} sdp @returns {string} the first ice-ufrag (RFC 8839, section 5.4), or '' */
export function ufragOf(sdp) {
  return /^a=ice-ufrag:(\S+)/m.exec(sdp)?.[1] ?? '';
}
