/**
 * Tells how long what a peer sends has gone unanswered, from its statistics. A path that works answers: media with
 * feedback (RFC 4585), and a consent check with a response (RFC 7675). Browsers themselves take 5 s and more to call a
 * path disconnected, since they go by consent checks alone.
 */
export class Silence {
  #sent = 0;
  #received = 0;
  /** When the first of what was not answered was noticed. @type {number|null} */
  #since = null;

  /** Whether anything was received between the last two readings. */
  heard = false;

  /**
   * Take a reading.
   * @param {{sent: number, received: number}} traffic counts that grow @param {number} now in ms
   * @param {boolean} lost whether the browser calls the path disconnected
   * @returns {number} the silence so far, in ms; 0 without one
   */
  take({ sent, received }, now, lost) {
    this.heard = received > this.#received;
    if (this.heard) this.#since = null;
    else if (lost || sent > this.#sent) this.#since ??= now;
    this.#sent = sent;
    this.#received = received;
    return this.#since === null ? 0 : now - this.#since;
  }
}

/**
 * Count what a peer has sent that is always answered, and what it has received.
 * @param {RTCStatsReport|Map<string, any>} report
 */
export function trafficOf(report) {
  let sent = 0;
  let received = 0;
  report.forEach((/** @type {any} */ entry) => {
    if (entry.type === 'outbound-rtp') {
      sent += entry.packetsSent ?? 0;
    } else if (entry.type === 'candidate-pair' && entry.nominated) { // others may be tried in vain
      sent += (entry.requestsSent ?? 0) + (entry.consentRequestsSent ?? 0);
      received += (entry.bytesReceived ?? 0) + (entry.responsesReceived ?? 0);
    }
  });
  return { sent, received };
}
