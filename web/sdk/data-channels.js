/**
 * Messages between participants over the subscribe peer's two data channels, whose ids are fixed.
 *
 * Each message is framed as sfu/formats/data_message.py says: version, topic, names, payload.
 *
 * Events: `data` (detail: {@link DataReceived}), `closed` (detail: {reliable}): the server closed a channel, because
 * messages arrived faster than the page read them; the next peer has a new one.
 *
 * @typedef {{participant: string, topic: string, payload: Uint8Array, reliable: boolean}} DataReceived
 */
import { Emitter } from './emitter.js';

const VERSION = 1;
const MAX_MESSAGE_BYTES = 65_536;
const MAX_TEXT_BYTES = 255;
const MAX_NAMES = 255;
/** The limit of buffered data: beyond it, lossy messages are dropped and reliable ones wait. */
const MAX_BUFFERED_BYTES = 1_000_000;
const LOW_BYTES = 250_000;
const CHANNELS = {
  reliable: { id: 0, ordered: true },
  lossy: { id: 1, ordered: false, maxRetransmits: 0 },
};

export class DataChannels extends Emitter {
  /** @type {RTCDataChannel|null} */
  #reliable = null;
  /** @type {RTCDataChannel|null} */
  #lossy = null;
  /** Sends of the reliable channel, one after another. @type {Promise<unknown>} */
  #turn = Promise.resolve();

  /** Switch to the channels of another peer. @param {RTCPeerConnection} pc */
  open(pc) {
    this.close();
    this.#reliable = this.#make(pc, 'reliable');
    this.#lossy = this.#make(pc, 'lossy');
  }

  /** Drop the channels, because their peer is closed. */
  close() {
    this.#reliable = this.#lossy = null;
  }

  /**
   * Send to all, or to the participants in `to`.
   * @param {Uint8Array|string} payload text is sent as UTF-8
   * @param {{reliable?: boolean, to?: string[], topic?: string}} [options]
   * @returns {Promise<boolean>} false if a lossy message was dropped here; rejects if there is no channel
   */
  async send(payload, { reliable = true, to = [], topic = '' } = {}) {
    const message = encode(typeof payload === 'string' ? new TextEncoder().encode(payload) : payload, to, topic);
    if (!reliable) return this.#sendLossy(message);
    const sent = this.#turn.then(() => this.#sendReliable(message));
    this.#turn = sent.catch(() => {});
    return sent;
  }

  /** @param {Uint8Array<ArrayBuffer>} message */
  #sendLossy(message) {
    const channel = this.#lossy;
    if (channel?.readyState !== 'open' || channel.bufferedAmount + message.length > MAX_BUFFERED_BYTES) return false;
    channel.send(message);
    return true;
  }

  /** @param {Uint8Array<ArrayBuffer>} message */
  async #sendReliable(message) {
    const channel = this.#reliable;
    if (channel?.readyState === 'connecting') await settled(channel, 'open');
    if (channel?.readyState === 'open' && channel.bufferedAmount + message.length > MAX_BUFFERED_BYTES) {
      await settled(channel, 'bufferedamountlow');
    }
    if (channel?.readyState !== 'open') throw new Error('The data channel is closed.');
    channel.send(message);
    return true;
  }

  /** @param {RTCPeerConnection} pc @param {keyof typeof CHANNELS} label */
  #make(pc, label) {
    const reliable = label === 'reliable';
    const channel = pc.createDataChannel(label, { negotiated: true, ...CHANNELS[label] });
    channel.binaryType = 'arraybuffer';
    channel.bufferedAmountLowThreshold = LOW_BYTES;
    channel.addEventListener('message', ({ data }) => {
      const message = decode(new Uint8Array(data));
      if (message) this.emit('data', { ...message, reliable });
    });
    channel.addEventListener('close', () => {
      if (channel === this.#reliable || channel === this.#lossy) this.emit('closed', { reliable });
    });
    return channel;
  }
}

/** Resolves with the channel's next event of a type, or when the channel closes. @param {RTCDataChannel} channel @param {string} type */
function settled(channel, type) {
  return new Promise((resolve) => {
    channel.addEventListener(type, resolve, { once: true });
    channel.addEventListener('close', resolve, { once: true });
  });
}

/** @param {Uint8Array} payload @param {string[]} names @param {string} topic @returns {Uint8Array<ArrayBuffer>} */
export function encode(payload, names, topic) {
  if (names.length > MAX_NAMES) throw new RangeError(`A data message can have at most ${MAX_NAMES} receivers.`);
  const texts = [topic, ...names].map((text) => new TextEncoder().encode(text));
  if (texts.some((text) => text.length > MAX_TEXT_BYTES)) throw new RangeError('A topic or name is too long.');
  const header = [VERSION, texts[0].length, ...texts[0], names.length];
  for (const text of texts.slice(1)) header.push(text.length, ...text);
  const message = new Uint8Array(header.length + payload.length);
  if (message.length > MAX_MESSAGE_BYTES) throw new RangeError(`A data message can have at most ${MAX_MESSAGE_BYTES} bytes.`);
  message.set(header);
  message.set(payload, header.length);
  return message;
}

/** @param {Uint8Array} message @returns {{participant: string, topic: string, payload: Uint8Array}|null} */
export function decode(message) {
  if (message[0] !== VERSION) return null;
  let at = 1;
  const text = () => {
    const end = at + 1 + message[at];
    const bytes = message.subarray(at + 1, end);
    at = end;
    return new TextDecoder().decode(bytes);
  };
  const topic = text();
  const count = message[at];
  at += 1;
  const names = Array.from({ length: count }, text);
  return at <= message.length && count === 1 ? { participant: names[0], topic, payload: message.subarray(at) } : null;
}
