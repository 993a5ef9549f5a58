/**
 * Encodings of published video: up to three simulcast layers for a camera, two for a screen.
 *
 * @typedef {{rid?: string, active?: boolean, scaleResolutionDownBy?: number, maxBitrate: number, maxFramerate?: number,
 *   scalabilityMode?: string, priority?: RTCPriorityType}} Encoding
 */

/** Rids of a camera's layers, lowest first, as Chromium requires. */
const RIDS = ['q', 'h', 'f'];
/** The pixels that a video needs for each number of layers: the limits of libwebrtc. */
const TWO_LAYERS_FROM = 480 * 270;
const LAYERS_FROM = [[960 * 540, 3], [TWO_LAYERS_FROM, 2]];
/** The bit rate of 1280×720. Smaller videos get less, but more per pixel. */
const CAMERA_RATE = 1_700_000;
const CAMERA_PIXELS = 1280 * 720;
const RATE_EXPONENT = 0.88;
/** Codecs that can carry several layers in one stream. */
const LAYERED = new Set(['VP9', 'AV1']);
/** Codecs whose temporal layers the server can drop, to keep a screen's resolution on narrow links. */
const LAYERED_IN_TIME = new Set(['VP8', 'VP9', 'AV1']);
/** @type {Encoding} text must be sharp, but need not move smoothly */
const SCREEN = { maxBitrate: 2_500_000, maxFramerate: 15 };
/** @type {Encoding} half the width, for viewers whose link would take seconds for one large picture */
const SMALL_SCREEN = { maxBitrate: 250_000, maxFramerate: 5 };
/** With a narrow uplink, a screen has one layer, of less than full size: two would both wait for their keyframes. */
const NARROW_SCREEN_SCALE = 1.5;
/** The bit rate of the middle of three layers: with sound, and headroom for a rise, it fits a link of 600 kbit/s. */
const MIDDLE_SHARE = 0.8;
/** @type {Encoding} */
const MICROPHONE = { maxBitrate: 40_000 };
/** The bit rate of a microphone with a narrow uplink: still good for speech. */
export const THIN_SOUND_RATE = 16_000;
/** @type {Encoding} in stereo; the sound of a screen is often music */
const MUSIC = { maxBitrate: 128_000 };

/**
 * @param {import('./publish-peer.js').Source} source
 * @param {{simulcast?: boolean, codec?: string, scalabilityMode?: string, width?: number, height?: number, isNarrow?: boolean, music?: boolean}} [options]
 *   `scalabilityMode` (W3C WebRTC SVC) makes one stream of several layers instead of simulcast; `width` and `height`
 *   are the video's, 0 while unknown; `isNarrow`: the uplink is; `music`: a microphone sends music
 * @returns {Encoding[]} inactive ones are for a larger video
 */
export function encodingsFor(source, { simulcast = true, codec = 'VP8', scalabilityMode = '', width = 0, height = 0, isNarrow = false, music = false } = {}) {
  const layered = scalabilityMode ? { scalabilityMode } : {};
  switch (source) {
    case 'camera':
      if (scalabilityMode || !simulcast) return [{ maxBitrate: CAMERA_RATE, ...layered }];
      // Without it, Chromium turns several encodings in these codecs into one layered stream.
      return cameraLayers(width * height || CAMERA_PIXELS, LAYERED.has(codec) ? { scalabilityMode: 'L1T1' } : {});
    case 'screen':
      return beforeOthers(scalabilityMode ? [{ ...SCREEN, scalabilityMode }] : screenLayers(simulcast, width * height || Infinity, codec, isNarrow));
    case 'screen-audio':
      return [{ ...MUSIC }];
    default:
      return [{ ...(music ? MUSIC : MICROPHONE) }];
  }
}

/**
 * Each layer has half the width of the one above, and the highest has full size.
 * @param {number} pixels of the video @param {Partial<Encoding>} others @returns {Encoding[]}
 */
function cameraLayers(pixels, others) {
  const count = LAYERS_FROM.find(([least]) => pixels >= least)?.[1] ?? 1;
  return RIDS.map((rid, place) => {
    const scaleResolutionDownBy = 2 ** Math.max(0, count - 1 - place);
    const share = place > 0 && place < count - 1 ? MIDDLE_SHARE : 1;
    const maxBitrate = share * rateOf(pixels / scaleResolutionDownBy ** 2);
    return { rid, active: place < count, scaleResolutionDownBy, maxBitrate, ...others };
  });
}

/**
 * On a narrow uplink, a screen gets most of what it shares with the camera. Chromium takes the priority of the first encoding.
 * @param {Encoding[]} encodings @returns {Encoding[]}
 */
function beforeOthers([first, ...others]) {
  return [{ ...first, priority: 'high' }, ...others];
}

/**
 * The large layer has temporal layers. The small one has few pictures, of which each counts; if it is the only one, it is
 * sent like the large one.
 * @param {boolean} simulcast @param {number} pixels of the video @param {string} codec @param {boolean} isNarrow
 * @returns {Encoding[]}
 */
function screenLayers(simulcast, pixels, codec, isNarrow) {
  const inTime = (/** @type {string} */ mode) => (LAYERED_IN_TIME.has(codec) ? { scalabilityMode: mode } : {});
  if (!simulcast) return [{ ...SCREEN, ...inTime('L1T3') }];
  const [small, large] = RIDS;
  const whole = { ...SCREEN, ...inTime('L1T3') };
  const isTiny = pixels < TWO_LAYERS_FROM;
  if (isNarrow || isTiny) {
    const scaleResolutionDownBy = isTiny ? 1 : NARROW_SCREEN_SCALE;
    return [{ rid: small, active: true, scaleResolutionDownBy, ...whole }, { rid: large, active: false, scaleResolutionDownBy: 1, ...whole }];
  }
  return [
    { rid: small, active: true, scaleResolutionDownBy: 2, ...SMALL_SCREEN, ...inTime('L1T1') },
    { rid: large, active: true, scaleResolutionDownBy: 1, ...whole },
  ];
}

/** @param {number} pixels @returns {number} bit/s, rounded */
function rateOf(pixels) {
  const rate = CAMERA_RATE * Math.min(1, pixels / CAMERA_PIXELS) ** RATE_EXPONENT;
  return Math.max(50_000, Math.round(rate / 10_000) * 10_000);
}

/**
 * The degradation preference of a video, '' to follow its content hint. Chromium's software H264 encoder halves a low-quality
 * video and all its simulcast layers: their sizes become wrong, and so small a video loses its top layer. In other
 * codecs Chromium keeps the layers, since the server can choose smaller ones.
 * @param {import('./publish-peer.js').Source} source
 * @param {{simulcast?: boolean, codec?: string, scalabilityMode?: string}} [options] those of `encodingsFor`
 * @returns {''|'maintain-resolution'}
 */
export function degradationFor(source, options = {}) {
  return options.codec === 'H264' && encodingsFor(source, options).length > 1 ? 'maintain-resolution' : '';
}

/** The content hint of a track, so that the encoder keeps what matters: motion or detail. */
const HINTS = { camera: 'motion', screen: 'detail', microphone: 'speech', 'screen-audio': 'music' };

/** @param {import('./publish-peer.js').Source} source @param {MediaStreamTrack} track a microphone in music mode keeps its hint */
export function contentHintFor(source, track) {
  return isMusic(source, track) ? 'music' : HINTS[source];
}

/**
 * Whether a source sends music, in stereo: the sound of a screen, and a microphone that was opened for music.
 * @param {import('./publish-peer.js').Source} source @param {MediaStreamTrack|null} track
 */
export function isMusic(source, track) {
  return source === 'screen-audio' || (source === 'microphone' && track?.contentHint === 'music');
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
