/**
 * End-to-end encryption, for the `encryption` option of a Room. Frames are encrypted before they are packetised
 * (W3C WebRTC Encoded Transform) with AES-GCM under one key, which the participants share and the server never sees.
 *
 * A frame is: clear prefix | ciphertext and tag | IV (12 bytes). The prefix, which is authenticated, is what the server
 * must see to forward: the VP8 header (RFC 7741, section 4.3), or the first byte of Opus. Other codecs are not sent.
 */

import { startWorker } from './workers.js';

const ITERATIONS = 600_000;

export class Encryption {
  #worker;

  /** @param {CryptoKey|Promise<CryptoKey>} key for AES-GCM; frames wait for it */
  constructor(key) {
    const worker = startWorker(new URL('./encryption-worker.js', import.meta.url).href);
    this.#worker = worker;
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
    return new Encryption(keyOf(passphrase, meeting));
  }

  /** Encrypt the frames of a sender. @param {RTCRtpSender} sender @param {'audio'|'video'} media */
  encrypt(sender, media) {
    sender.transform = new RTCRtpScriptTransform(this.#worker, { operation: 'encrypt', media });
  }

  /** Decrypt the frames of a receiver; frames that cannot be decrypted are not played. @param {RTCRtpReceiver} receiver */
  decrypt(receiver) {
    if (!receiver.transform) {
      receiver.transform = new RTCRtpScriptTransform(this.#worker, { operation: 'decrypt', media: receiver.track.kind });
    }
  }
}

/** @param {string} passphrase @param {string} meeting @returns {Promise<CryptoKey>} */
async function keyOf(passphrase, meeting) {
  const bytes = new TextEncoder();
  const words = await crypto.subtle.importKey('raw', bytes.encode(passphrase), 'PBKDF2', false, ['deriveKey']);
  const derivation = { name: 'PBKDF2', hash: 'SHA-256', iterations: ITERATIONS, salt: bytes.encode(`parley ${meeting}`) };
  return crypto.subtle.deriveKey(derivation, words, { name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
}
