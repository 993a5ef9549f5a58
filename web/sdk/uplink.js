/**
 * Measures for a narrow uplink, from the browser's estimate of its bit rate, read once a second.
 *
 * On a narrow uplink, a screen has one layer. On a thin uplink, sound is sent at a lower rate and without RED. If the uplink
 * carries hardly more than sound, and the queue is full, the camera is paused: video would take the bit rate that sound
 * needs, and delay sound. While the camera is paused, the estimate cannot rise, so the camera is tried again after an
 * interval that doubles each time.
 */
const READINGS = 5;
const THIN_READINGS = 2; // less sound is hardly heard, and quickly undone
const THIN = 200_000;
const AMPLE = 300_000;
const NARROW = 1_000_000;
const WIDE = 1_500_000;
const NARROW_READINGS = 5; // other layers take keyframes, so not for a dip
const REST = 130_000;
const QUEUED = 0.2; // s of a round trip: the queue is full, or the server too far away to tell
/** A loss from which on a browser without an estimate sends more than its uplink carries. */
const MUCH_LOST = 0.2;
const REST_READINGS = 5; // sound should not wait longer; what only late feedback has lowered has risen by then
const FIRST_REST_MS = 30_000;
const LONGEST_REST_MS = 120_000;
/** After the camera was sent for this long, the interval starts at its minimum again. */
const LASTED_MS = 60_000;

export class Uplink {
  /** Whether there is no room for a screen in two layers. */
  isNarrow = false;
  isThin = false;
  cameraRests = false;
  /** @type {number[]} */
  #readings = [];
  #restMs = FIRST_REST_MS;
  #changedAt = -Infinity;
  /** The number of newest readings that a lack of media has not kept low. */
  #telling = 0;
  /** The number of newest readings that show no room for a camera. */
  #full = 0;

  /**
   * @param {number|undefined} bitrate the estimate, in bit/s, undefined if nothing speaks of a limit @param {number} at ms
   * @param {number} wanted what videos would send if there were room, in bit/s
   * @param {number} roundTrip the last that was measured, in s
   * @returns {boolean} true if a measure changes
   */
  take(bitrate, at, wanted = 0, roundTrip = Infinity) {
    if (bitrate !== undefined || !this.cameraRests) this.#readings = [...this.#readings, bitrate ?? Infinity].slice(-READINGS);
    const { isNarrow, isThin, cameraRests } = this;
    this.#telling = wanted > NARROW ? this.#telling + 1 : 0;
    this.isNarrow = this.isNarrow ? !this.#isAbove(WIDE) : this.#telling >= NARROW_READINGS && this.#isBelow(NARROW, NARROW_READINGS);
    this.isThin = this.isThin ? !this.#isAbove(AMPLE) : this.#isBelow(THIN, THIN_READINGS);
    this.#full = (bitrate ?? Infinity) < REST && roundTrip > QUEUED ? this.#full + 1 : 0;
    if (this.cameraRests && at - this.#changedAt >= this.#restMs) this.#wake(at);
    else if (!this.cameraRests && this.#full >= REST_READINGS) this.#rest(at);
    return isNarrow !== this.isNarrow || isThin !== this.isThin || cameraRests !== this.cameraRests;
  }

  /** @param {number} rate @param {number} count of the newest readings */
  #isBelow(rate, count) {
    return this.#readings.length >= count && this.#readings.slice(-count).every((reading) => reading < rate);
  }

  /** @param {number} rate */
  #isAbove(rate) {
    return this.#readings.length === READINGS && Math.min(...this.#readings) > rate;
  }

  /** @param {number} at */
  #rest(at) {
    this.#restMs = at - this.#changedAt > LASTED_MS ? FIRST_REST_MS : Math.min(this.#restMs * 2, LONGEST_REST_MS);
    this.cameraRests = true;
    this.#changedAt = at;
  }

  /** @param {number} at */
  #wake(at) {
    this.cameraRests = false;
    this.#changedAt = at;
    this.#readings = [];
    this.#full = 0;
  }
}

/**
 * @param {RTCStatsReport} report
 * @returns {{availableOutgoingBitrate?: number, currentRoundTripTime?: number}} of the path in use, {} without an estimate
 */
export function outgoing(report) {
  let found = {};
  report.forEach((entry) => {
    if (entry.type === 'candidate-pair' && entry.nominated && entry.availableOutgoingBitrate) found = entry;
  });
  return found;
}

/** The bit rate that arrives although much is lost: the estimate for a browser that has none, Firefox. */
export class CarriedRate {
  /** Bytes sent for the first time, by SSRC. @type {Map<number, number>} */
  #sent = new Map();
  #at = 0;

  /** @param {RTCStatsReport} report @param {number} at ms @returns {number|undefined} bit/s, undefined if little is lost */
  take(report, at) {
    const losses = new Map();
    report.forEach(({ type, ssrc, fractionLost = 0 }) => type === 'remote-inbound-rtp' && losses.set(ssrc, fractionLost));
    let arrived = 0;
    report.forEach(({ type, ssrc, bytesSent, retransmittedBytesSent = 0 }) => {
      if (type !== 'outbound-rtp') return;
      const sent = bytesSent - retransmittedBytesSent;
      arrived += (sent - (this.#sent.get(ssrc) ?? sent)) * (1 - (losses.get(ssrc) ?? 0));
      this.#sent.set(ssrc, sent);
    });
    const seconds = (at - this.#at) / 1000;
    this.#at = at;
    return Math.max(0, ...losses.values()) < MUCH_LOST ? undefined : (arrived * 8) / seconds;
  }
}
