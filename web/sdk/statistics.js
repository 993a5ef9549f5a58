/**
 * Statistics: the getStats results of both peers as rates since the last reading, and a rating of the network.
 *
 * @typedef {{mid: string, trackId: string, media: string, codec: string, bitrate: number, lost: number, loss: number, framesDecoded: number,
 *   framesPerSecond: number, width: number, height: number, jitterMs: number, freezes: number}} Incoming
 * @typedef {{mid: string, rid: string, layers: string, media: string, codec: string, bitrate: number, framesPerSecond: number, width: number, height: number,
 *   limitedBy: string}} Outgoing
 * @typedef {{at: number, roundTripMs: number|null, lossIn: number, lossOut: number, bitrateIn: number, bitrateOut: number,
 *   framesDecoded: number, packetsIn: number, incoming: Incoming[], outgoing: Outgoing[]}} Reading
 *   bit rates in bit/s; losses are fractions of the packets of this interval
 */

export class StatisticsReader {
  #room;
  /** @type {Map<string, any>} */
  #before = new Map();
  #at = 0;

  /** @param {import('./room.js').Room} room */
  constructor(room) {
    this.#room = room;
  }

  /** @returns {Promise<Reading>} */
  async read() {
    const { publish, subscribe } = this.#room.peers;
    const reports = await Promise.all([publish?.getStats(), subscribe?.getStats()]);
    const now = new Map();
    reports.forEach((report, peer) => report?.forEach((entry) => now.set(`${peer}:${entry.id}`, entry)));
    const at = performance.now();
    const reading = summarise(now, this.#before, at, this.#at);
    this.#before = now;
    this.#at = at;
    return reading;
  }
}

/**
 * @param {Map<string, any>} now entries of getStats by peer and id @param {Map<string, any>} before
 * @param {number} at ms @param {number} atBefore ms, 0 at first
 * @returns {Reading}
 */
export function summarise(now, before, at, atBefore) {
  const seconds = atBefore ? (at - atBefore) / 1000 : 0;
  /** @type {Reading} */
  const reading = {
    at, roundTripMs: null, lossIn: 0, lossOut: 0, bitrateIn: 0, bitrateOut: 0, framesDecoded: 0, packetsIn: 0,
    incoming: [], outgoing: [],
  };
  let received = 0;
  let lost = 0;
  for (const [key, entry] of now) {
    const old = before.get(key) ?? {};
    /** @param {string} field */
    const grown = (field) => Math.max(0, (entry[field] ?? 0) - (old[field] ?? 0));
    /** @param {string} field */
    const rate = (field) => (seconds > 0 ? (grown(field) * 8) / seconds : 0);
    /** @param {any} stream @returns {string} */
    const codecOf = (stream) => now.get(`${key.split(':')[0]}:${stream.codecId}`)?.mimeType?.split('/')[1] ?? '';
    if (entry.type === 'inbound-rtp') {
      received += grown('packetsReceived');
      lost += grown('packetsLost');
      reading.packetsIn += entry.packetsReceived ?? 0;
      reading.framesDecoded += entry.framesDecoded ?? 0;
      reading.bitrateIn += rate('bytesReceived');
      reading.incoming.push(incomingOf(entry, rate('bytesReceived'), grown('packetsLost'), grown('packetsReceived'), codecOf(entry)));
    } else if (entry.type === 'outbound-rtp') {
      reading.bitrateOut += rate('bytesSent');
      reading.outgoing.push(outgoingOf(entry, rate('bytesSent'), codecOf(entry)));
    } else if (entry.type === 'remote-inbound-rtp') {
      reading.lossOut = Math.max(reading.lossOut, entry.fractionLost ?? 0);
    } else if (entry.type === 'candidate-pair' && entry.nominated && entry.currentRoundTripTime !== undefined) {
      reading.roundTripMs = Math.max(reading.roundTripMs ?? 0, entry.currentRoundTripTime * 1000);
    }
  }
  reading.lossIn = received + lost > 0 ? lost / (received + lost) : 0;
  return reading;
}

/**
 * @typedef {'good'|'fair'|'poor'|'unknown'} Quality
 * @typedef {{paused: boolean, told: string, isThin: boolean}} Seen other evidence about the network: whether a video is paused for
 *   lack of bandwidth, the server's rating of our connection, and whether we send less because of our uplink
 */

/**
 * @param {Reading} reading @param {Partial<Seen>} [seen]
 * @returns {Quality} a rating of the network as a user would give it
 */
export function qualityOf(reading, { paused = false, told = '', isThin = false } = {}) {
  if (paused || isThin || told === 'poor' || told === 'lost') return 'poor';
  if (reading.roundTripMs === null) return 'unknown';
  // Packets that did not arrive may have been lost on a publisher's link. The server knows what our own link has lost.
  const loss = Math.max(told ? reading.lossIn : 0, reading.lossOut);
  if (loss > 0.08 || reading.roundTripMs > 600) return 'poor';
  if (loss > 0.02 || reading.roundTripMs > 250 || told === 'good') return 'fair';
  return 'good';
}

/** @param {any} entry @param {number} bitrate @param {number} lost @param {number} received @param {string} codec @returns {Incoming} */
function incomingOf(entry, bitrate, lost, received, codec) {
  return {
    mid: entry.mid ?? '', trackId: entry.trackIdentifier ?? '', media: entry.kind, codec, bitrate, lost, loss: lost > 0 ? lost / (lost + received) : 0, framesDecoded: entry.framesDecoded ?? 0,
    framesPerSecond: entry.framesPerSecond ?? 0, width: entry.frameWidth ?? 0, height: entry.frameHeight ?? 0,
    jitterMs: (entry.jitter ?? 0) * 1000, freezes: entry.freezeCount ?? 0,
  };
}

/** @param {any} entry @param {number} bitrate @param {string} codec @returns {Outgoing} */
function outgoingOf(entry, bitrate, codec) {
  return {
    mid: entry.mid ?? '', rid: entry.rid ?? '', layers: entry.scalabilityMode ?? '', media: entry.kind, codec, bitrate, framesPerSecond: entry.framesPerSecond ?? 0,
    width: entry.frameWidth ?? 0, height: entry.frameHeight ?? 0, limitedBy: entry.qualityLimitationReason ?? 'none',
  };
}
