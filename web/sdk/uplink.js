/**
 * What a narrow uplink is spared: judged by what the browser says may be sent, once a second.
 *
 * Where little passes, sound comes first: it goes at a lower rate and without RED. Where hardly more than sound passes, the
 * camera rests: a picture would take what sound needs, and hold it up in the queue. While it rests nothing tells how much
 * more would pass, so it is tried again after a while, longer each time.
 */
const READINGS = 5;
const THIN = 200_000;
const AMPLE = 300_000;
const REST = 130_000;
const REST_READINGS = 3; // sound has waited long enough by then
const FIRST_REST_MS = 30_000;
const LONGEST_REST_MS = 120_000;
/** A camera that was sent for so long since has come back for good. */
const LASTED_MS = 60_000;

export class Uplink {
  isThin = false;
  cameraRests = false;
  /** @type {number[]} */
  #readings = [];
  #restMs = FIRST_REST_MS;
  #changedAt = -Infinity;

  /**
   * @param {number|undefined} bitrate that may be sent, in bit/s @param {number} at ms
   * @returns {boolean} whether anything is to change
   */
  take(bitrate, at) {
    if (bitrate === undefined) return false;
    this.#readings = [...this.#readings, bitrate].slice(-READINGS);
    const { isThin, cameraRests } = this;
    const highest = Math.max(...this.#readings);
    const isKnown = this.#readings.length === READINGS;
    if (this.isThin ? Math.min(...this.#readings) > AMPLE : isKnown && highest < THIN) this.isThin = isKnown && !this.isThin;
    if (this.cameraRests && at - this.#changedAt >= this.#restMs) this.#wake(at);
    else if (!this.cameraRests && this.#isBelow(REST)) this.#rest(at);
    return isThin !== this.isThin || cameraRests !== this.cameraRests;
  }

  /** @param {number} rate */
  #isBelow(rate) {
    return this.#readings.length >= REST_READINGS && this.#readings.slice(-REST_READINGS).every((reading) => reading < rate);
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
  }
}

/** @param {RTCStatsReport} report @returns {number|undefined} bit/s, where the browser says it */
export function outgoingBitrate(report) {
  /** @type {number|undefined} */
  let found;
  report.forEach((entry) => {
    if (entry.type === 'candidate-pair' && entry.nominated && entry.availableOutgoingBitrate) found = entry.availableOutgoingBitrate;
  });
  return found;
}
