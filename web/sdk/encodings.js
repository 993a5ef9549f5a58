/**
 * Encodings of published video: up to three simulcast layers for a camera, one for a screen.
 *
 * @typedef {{rid?: string, active?: boolean, scaleResolutionDownBy?: number, maxBitrate: number, maxFramerate?: number,
 *   scalabilityMode?: string}} Encoding
 */

/** Names of a camera's layers, lowest first, as Chromium wants them. */
const RIDS = ['q', 'h', 'f'];
/** Pixels from which on a picture has so many layers: the bounds of libwebrtc, which sends no more. */
const LAYERS_FROM = [[960 * 540, 3], [480 * 270, 2]];
/** What 1280×720 is worth; less of it for smaller pictures, which need more for each pixel. */
const CAMERA_RATE = 1_700_000;
const CAMERA_PIXELS = 1280 * 720;
const RATE_EXPONENT = 0.88;
/** Codecs that can carry several layers in one stream. */
const LAYERED = new Set(['VP9', 'AV1']);
/** Codecs of which the server tells layers of rate apart, to keep a screen's resolution where links are narrow. */
const LAYERED_IN_TIME = new Set(['VP8', 'VP9', 'AV1']);
/** @type {Encoding} text must be sharp, and need not move smoothly */
const SCREEN = { maxBitrate: 2_500_000, maxFramerate: 15 };
/** @type {Encoding} */
const MICROPHONE = { maxBitrate: 40_000 };
/** @type {Encoding} what is played on a screen is often music */
const SCREEN_AUDIO = { maxBitrate: 128_000 };

/**
 * @param {import('./publish-peer.js').Source} source
 * @param {{simulcast?: boolean, codec?: string, scalabilityMode?: string, width?: number, height?: number}} [options]
 *   `scalabilityMode` (W3C WebRTC SVC) makes one stream of several layers, in place of simulcast; `width` and `height`
 *   are the picture's, 0 while they are not known
 * @returns {Encoding[]} those that are not `active` are there for a larger picture
 */
export function encodingsFor(source, { simulcast = true, codec = 'VP8', scalabilityMode = '', width = 0, height = 0 } = {}) {
  const layered = scalabilityMode ? { scalabilityMode } : {};
  switch (source) {
    case 'camera':
      if (scalabilityMode || !simulcast) return [{ maxBitrate: CAMERA_RATE, ...layered }];
      // Without it Chromium makes one layered stream of several encodings in these.
      return cameraLayers(width * height || CAMERA_PIXELS, LAYERED.has(codec) ? { scalabilityMode: 'L1T1' } : {});
    case 'screen':
      return [{ ...SCREEN, ...(LAYERED_IN_TIME.has(codec) ? { scalabilityMode: 'L1T3' } : {}), ...layered }];
    case 'screen-audio':
      return [{ ...SCREEN_AUDIO }];
    default:
      return [{ ...MICROPHONE }];
  }
}

/**
 * Each layer has half the width of the one above, and the highest has full size.
 * @param {number} pixels of the picture @param {Partial<Encoding>} others @returns {Encoding[]}
 */
function cameraLayers(pixels, others) {
  const count = LAYERS_FROM.find(([least]) => pixels >= least)?.[1] ?? 1;
  return RIDS.map((rid, place) => {
    const scaleResolutionDownBy = 2 ** Math.max(0, count - 1 - place);
    return { rid, active: place < count, scaleResolutionDownBy, maxBitrate: rateOf(pixels / scaleResolutionDownBy ** 2), ...others };
  });
}

/** @param {number} pixels @returns {number} bit/s, rounded */
function rateOf(pixels) {
  const rate = CAMERA_RATE * Math.min(1, pixels / CAMERA_PIXELS) ** RATE_EXPONENT;
  return Math.max(50_000, Math.round(rate / 10_000) * 10_000);
}

/**
 * What of a picture suffers first, '' for what its content hint says. Chromium's own H264 encoder halves the picture where
 * it looks coarse, and all simulcast layers with it: their sizes no longer hold, and for so small a picture the top one
 * ends. In other codecs Chromium leaves layers as they are, since the server has the smaller ones to choose.
 * @param {import('./publish-peer.js').Source} source
 * @param {{simulcast?: boolean, codec?: string, scalabilityMode?: string}} [options] those of `encodingsFor`
 * @returns {''|'maintain-resolution'}
 */
export function degradationFor(source, options = {}) {
  return options.codec === 'H264' && encodingsFor(source, options).length > 1 ? 'maintain-resolution' : '';
}

/** What a track's picture or sound is like, so that the encoder degrades the right thing. */
const HINTS = { camera: 'motion', screen: 'detail', microphone: 'speech', 'screen-audio': 'music' };

/** @param {import('./publish-peer.js').Source} source */
export function contentHintFor(source) {
  return HINTS[source];
}

/**
 * Order codecs so that the preferred one is offered first; the rest stay, retransmission formats included.
 * @param {RTCRtpCodec[]} codecs of getCapabilities
 * @param {string} preferred for example 'video/VP8'
 */
export function preferCodec(codecs, preferred) {
  const wanted = preferred.toLowerCase();
  const first = codecs.filter((codec) => codec.mimeType.toLowerCase() === wanted);
  return [...first, ...codecs.filter((codec) => codec.mimeType.toLowerCase() !== wanted)];
}
