/** Encrypts and decrypts encoded frames; see encryption.js. */
const IV_BYTES = 12;
const TAG_BYTES = 16;
/** Frames in a row that must fail before another key is assumed. */
const FAILURES = 10;

/** @type {(key: CryptoKey) => void} */
let haveKey = () => {};
/** @type {Promise<CryptoKey>} */
const key = new Promise((resolve) => (haveKey = resolve));

globalThis.addEventListener('message', ({ data }) => haveKey(data.key));

globalThis.addEventListener('rtctransform', (/** @type {any} */ event) => {
  const { readable, writable, options } = event.transformer;
  const outcome = options.operation === 'decrypt' ? noticing(options.id) : () => undefined;
  const transform = options.operation === 'encrypt' ? encrypt : decrypt;
  readable
    .pipeThrough(new TransformStream({ transform: (frame, controller) => transform(frame, controller, options.media, outcome) }))
    .pipeTo(writable)
    .catch(() => undefined); // the peer was closed
});

/**
 * Tell the page when frames of a receiver do not decrypt, and when they do again. A slot of the server carries one participant
 * after another, so only several frames in a row count.
 * @param {string} id of the receiver's track @returns {(decrypted: boolean) => void}
 */
function noticing(id) {
  let failures = 0;
  return (decrypted) => {
    const before = failures;
    failures = decrypted ? 0 : Math.min(failures + 1, FAILURES);
    if (failures === FAILURES && before < FAILURES) postMessage({ media: id, differs: true });
    if (failures === 0 && before === FAILURES) postMessage({ media: id, differs: false });
  };
}

/**
 * Bytes of a frame that stay clear: the VP8 header, which is longer in a keyframe. Its first bit marks a keyframe.
 * @param {Uint8Array} data @param {'audio'|'video'} media
 */
function clearBytes(data, media) {
  if (media === 'audio') return 1;
  return data.length > 0 && (data[0] & 1) === 0 ? 10 : 3;
}

/**
 * @param {{data: ArrayBuffer}} frame an RTCEncodedVideoFrame or RTCEncodedAudioFrame
 * @param {TransformStreamDefaultController} controller @param {'audio'|'video'} media
 */
async function encrypt(frame, controller, media) {
  const data = new Uint8Array(frame.data);
  const clear = data.subarray(0, clearBytes(data, media));
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const secret = await crypto.subtle.encrypt(
    { name: 'AES-GCM', iv, additionalData: clear }, await key, data.subarray(clear.length));
  const sent = new Uint8Array(clear.length + secret.byteLength + IV_BYTES);
  sent.set(clear);
  sent.set(new Uint8Array(secret), clear.length);
  sent.set(iv, clear.length + secret.byteLength);
  frame.data = sent.buffer;
  controller.enqueue(frame);
}

/**
 * @param {{data: ArrayBuffer}} frame an RTCEncodedVideoFrame or RTCEncodedAudioFrame
 * @param {TransformStreamDefaultController} controller @param {'audio'|'video'} media @param {(decrypted: boolean) => void} outcome
 */
async function decrypt(frame, controller, media, outcome) {
  const data = new Uint8Array(frame.data);
  const clear = data.subarray(0, clearBytes(data, media));
  if (data.length < clear.length + TAG_BYTES + IV_BYTES) return;
  const iv = data.subarray(data.length - IV_BYTES);
  try {
    const plain = await crypto.subtle.decrypt(
      { name: 'AES-GCM', iv, additionalData: clear }, await key, data.subarray(clear.length, data.length - IV_BYTES));
    const restored = new Uint8Array(clear.length + plain.byteLength);
    restored.set(clear);
    restored.set(new Uint8Array(plain), clear.length);
    frame.data = restored.buffer;
    controller.enqueue(frame);
    outcome(true);
  } catch {
    // Another key, or none: the frame is not played.
    outcome(false);
  }
}
