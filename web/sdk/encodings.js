/**
 * Encodings of published video: three simulcast layers for a camera, one for a screen.
 *
 * @typedef {{rid?: string, scaleResolutionDownBy?: number, maxBitrate: number, maxFramerate?: number,
 *   scalabilityMode?: string}} Encoding
 */

/** @type {Encoding[]} lowest first, as Chromium wants them; bit rates suit 1280×720 */
const CAMERA = [
  { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: 'f', scaleResolutionDownBy: 1, maxBitrate: 1_700_000 },
];
/** Codecs that can carry several layers in one stream. */
const LAYERED = new Set(['VP9', 'AV1']);
/** @type {Encoding} */
const CAMERA_SINGLE = { maxBitrate: 1_700_000 };
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
 * @param {{simulcast?: boolean, codec?: string, scalabilityMode?: string}} [options] `scalabilityMode` (W3C WebRTC SVC)
 *   makes one stream of several layers, in place of simulcast
 * @returns {Encoding[]}
 */
export function encodingsFor(source, { simulcast = true, codec = 'VP8', scalabilityMode = '' } = {}) {
  const layered = scalabilityMode ? { scalabilityMode } : {};
  switch (source) {
    case 'camera':
      if (scalabilityMode || !simulcast) return [{ ...CAMERA_SINGLE, ...layered }];
      // Without it Chromium makes one layered stream of several encodings in these.
      return CAMERA.map((encoding) => (LAYERED.has(codec) ? { ...encoding, scalabilityMode: 'L1T1' } : { ...encoding }));
    case 'screen':
      return [{ ...SCREEN, ...(LAYERED_IN_TIME.has(codec) ? { scalabilityMode: 'L1T3' } : {}), ...layered }];
    case 'screen-audio':
      return [{ ...SCREEN_AUDIO }];
    default:
      return [{ ...MICROPHONE }];
  }
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
