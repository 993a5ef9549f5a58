/**
 * The layers that a sender sends: those that somebody watches and that its video is large enough for.
 *
 * If a video is too small for its number of encodings, a browser drops the highest, and with it the full size. So a small
 * video uses the lower encodings, of which the highest has the full size. The number of encodings is fixed, so that a
 * larger video from another camera needs no negotiation.
 */
import { encodingsFor } from './encodings.js';

export class SendingLayers {
  #sender;
  #source;
  #options;
  /** The requested layers, null for all. @type {string[]|null} */
  #wanted = null;
  #size = '';
  #rests = false;
  #isNarrow = false;

  /**
   * @param {RTCRtpSender} sender
   * @param {import('./publish-peer.js').Source} source
   * @param {{simulcast?: boolean, codec?: string, scalabilityMode?: string}} options those of `encodingsFor`
   */
  constructor(sender, source, options) {
    this.#sender = sender;
    this.#source = source;
    this.#options = options;
  }

  /**
   * Send only layers that somebody watches; null for all.
   * @param {string[]|null} rids '' for the only stream of a track without simulcast
   */
  async want(rids) {
    this.#wanted = rids;
    await this.#apply();
  }

  /** Pause sending even if somebody watches, or continue. @param {boolean} rests */
  async rest(rests) {
    if (rests === this.#rests) return;
    this.#rests = rests;
    await this.#apply();
  }

  /** Follow the video's size, which can change at any time, and the uplink. @param {boolean} isNarrow */
  async fit(isNarrow) {
    const { width, height } = sizeOf(this.#sender.track);
    const size = this.#size && !width ? this.#size : `${width}x${height}`; // layers stay as they are while the camera is off
    if (size === this.#size && isNarrow === this.#isNarrow) return;
    this.#size = size;
    this.#isNarrow = isNarrow;
    await this.#apply();
  }

  /** What the layers that are sent may take together, in bit/s. */
  get wantedRate() {
    if (!this.#sender.track) return 0;
    const sent = this.#sender.getParameters().encodings.filter(({ active }) => active);
    return sent.reduce((sum, { maxBitrate = 0 }) => sum + maxBitrate, 0);
  }

  async #apply() {
    const parameters = this.#sender.getParameters();
    const fitting = encodingsFor(this.#source, { ...this.#options, ...sizeOf(this.#sender.track), isNarrow: this.#isNarrow });
    const sent = sentOf(fitting, this.#wanted);
    for (const encoding of parameters.encodings) {
      const fit = fitting.find(({ rid }) => rid && rid === encoding.rid);
      if (fit) Object.assign(encoding, fit);
      encoding.active = fit ? sent.has(encoding.rid ?? '') : this.#wanted === null || this.#wanted.includes('');
    }
    if (this.#rests) parameters.encodings.forEach((encoding) => (encoding.active = false));
    await this.#sender.setParameters(parameters);
  }
}

/**
 * Return the rids of the encodings to send. A requested one that the video is too small for is replaced with the highest.
 * @param {import('./encodings.js').Encoding[]} fitting @param {string[]|null} wanted
 */
function sentOf(fitting, wanted) {
  const rids = fitting.map(({ rid = '' }) => rid);
  const fits = rids.filter((_, place) => fitting[place].active !== false);
  if (wanted === null) return new Set(fits);
  const sent = new Set(fits.filter((rid) => wanted.includes(rid)));
  if (rids.slice(fits.length).some((rid) => wanted.includes(rid))) sent.add(fits[fits.length - 1]);
  return sent;
}

/** @param {MediaStreamTrack|null} track @returns {{width: number, height: number}} zeros while unknown */
export function sizeOf(track) {
  const { width = 0, height = 0 } = track?.getSettings?.() ?? {};
  return { width, height };
}
