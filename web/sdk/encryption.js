/**
 * End-to-end encryption, for the `encryption` option of a Room. Frames are encrypted before they are packetised
 * (W3C WebRTC Encoded Transform) with AES-GCM under one key, which the participants share and the server never sees.
 *
 * A frame is: clear prefix | ciphertext and tag | IV (12 bytes). The prefix, which is authenticated, is what the server
 * must see to forward: the VP8 header (RFC 7741, section 4.3), or the first byte of Opus. Other codecs are not sent.
 */

import { Emitter } from './emitter.js';
import { startWorker } from './workers.js';

const ITERATIONS = 600_000;

/** Emits `differs` ({media, differs}): whether frames of a receiver, named by its MediaStreamTrack's id, fail to decrypt. */
export class Encryption extends Emitter {
  #worker;
  /** Six digits that are the same for everybody with the same passphrase, to compare by voice; null for an own key. */
  code;

  /** @param {CryptoKey|Promise<CryptoKey>} key for AES-GCM; frames wait for it @param {Promise<string>|null} [code] */
  constructor(key, code = null) {
    super();
    this.code = code;
    const worker = startWorker(new URL('./encryption-worker.js', import.meta.url).href);
    this.#worker = worker;
    worker.addEventListener('message', ({ data }) => this.emit('differs', data));
    void Promise.resolve(key).then((known) => worker.postMessage({ key: known }));
  }

  /** True if this browser supports it. */
  static get supported() {
    return typeof RTCRtpScriptTransform !== 'undefined' && globalThis.isSecureContext;
  }

  /**
   * Derive the key from a passphrase that the participants share.
   * @param {string} passphrase @param {string} meeting the same words give a different key in each meeting
   */
  static fromPassphrase(passphrase, meeting) {
    const secret = secretOf(passphrase, meeting);
    return new Encryption(secret.then(keyOf), secret.then(codeOf));
  }

  /** Encrypt the frames of a sender. @param {RTCRtpSender} sender @param {'audio'|'video'} media */
  encrypt(sender, media) {
    sender.transform = new RTCRtpScriptTransform(this.#worker, { operation: 'encrypt', media });
  }

  /** Decrypt the frames of a receiver; frames that cannot be decrypted are not played. @param {RTCRtpReceiver} receiver */
  decrypt(receiver) {
    if (!receiver.transform) {
      receiver.transform = new RTCRtpScriptTransform(this.#worker, { operation: 'decrypt', media: receiver.track.kind, id: receiver.track.id });
    }
  }
}

/** @param {string} passphrase @param {string} meeting @returns {Promise<ArrayBuffer>} */
async function secretOf(passphrase, meeting) {
  const bytes = new TextEncoder();
  const words = await crypto.subtle.importKey('raw', bytes.encode(passphrase), 'PBKDF2', false, ['deriveBits']);
  const derivation = { name: 'PBKDF2', hash: 'SHA-256', iterations: ITERATIONS, salt: bytes.encode(`parley ${meeting}`) };
  return crypto.subtle.deriveBits(derivation, words, 256);
}

/** @param {ArrayBuffer} secret @returns {Promise<CryptoKey>} */
function keyOf(secret) {
  return crypto.subtle.importKey('raw', secret, 'AES-GCM', false, ['encrypt', 'decrypt']);
}

/** The code says nothing about the key: it is cut from a digest. @param {ArrayBuffer} secret @returns {Promise<string>} */
async function codeOf(secret) {
  const label = new TextEncoder().encode('parley code');
  const digest = await crypto.subtle.digest('SHA-256', Uint8Array.from([...label, ...new Uint8Array(secret)]));
  const digits = String(new DataView(digest).getUint32(0) % 1_000_000).padStart(6, '0');
  return `${digits.slice(0, 3)} ${digits.slice(3)}`;
}
