/**
 * A test of the network before a call: this device sends a test picture and a tone to itself through a media server, by the
 * ways and with the adaptation of a call. Camera and microphone stay off.
 *
 * @typedef {'udp'|'tcp'|'relay'} Way
 * @typedef {{way: Way, roundTripMs: number|null, jitterMs: number, lossUp: number, lossDown: number, up: number, down: number,
 *   upIsAll: boolean, downIsAll: boolean, isDeviceBusy: boolean}} Figures
 *   bit rates in bit/s that were seen to arrive; `…IsAll`: all that was sent arrived, so the link may carry more; losses are shares
 */
import { RestError, Room, StatisticsReader } from '/sdk/parley.js';
import { rest } from './session.js';
import { testPicture, testTone } from './test-media.js';

const CONNECT_MS = 12_000;
const READ_MS = 1_000;
const READINGS = 8;
/** A rate counts if it was reached in this many seconds. */
const SECONDS_AT_RATE = 2;
/** Hardly less than the top layer of a camera needs (bit/s): what is sent at this rate was not held back. */
const ENOUGH = 1_300_000;
/** The share of a rate that passes for all of it: the two ends do not count the same seconds. */
const ALL = 0.85;

/** Why a test has no figures: `server` or `media` does not get through, the tab was `hidden`. */
export class NoFigures extends Error {
  /** @param {'server'|'media'|'hidden'} reason */
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/**
 * @param {AbortSignal} signal ends the test
 * @param {(share: number) => void} progress receives the share that is done
 * @returns {Promise<Figures>} rejects with NoFigures, or a RestError if the server refuses the test
 */
export async function testNetwork(signal, progress) {
  const picture = testPicture();
  const tone = testTone();
  /** @type {Room[]} */
  const rooms = [];
  try {
    const admission = await rest.post('/network-tests');
    signal.throwIfAborted();
    const sender = roomOf(admission, admission.sender);
    const receiver = roomOf(admission, admission.receiver);
    rooms.push(sender, receiver);
    showAll(receiver);
    await Promise.all([sender.publish('camera', picture.track), sender.publish('microphone', tone.track)]);
    await connected(rooms, signal);
    progress(1 / (READINGS + 1));
    return await measure(sender, receiver, signal, progress);
  } finally {
    for (const room of rooms) room.leave();
    picture.stop();
    tone.stop();
  }
}

/** @param {any} admission @param {string} token */
function roomOf({ signaling_url: url, ice_servers: iceServers }, token) {
  let isUsed = false;
  return new Room({
    admit: async () => {
      // The token admits once, so a connection that breaks ends the test.
      if (isUsed) throw new RestError(410, 'test_over', '');
      isUsed = true;
      return { url: rest.resolve(url), token, iceServers };
    },
  });
}

/** Ask for the largest picture. @param {Room} receiver */
function showAll(receiver) {
  receiver.addEventListener('track-published', ({ detail }) => {
    if (detail.media === 'video') receiver.subscribe(detail.id, { on: true, width: 1280, height: 720 });
  });
}

/** Join, and wait until media arrives. @param {Room[]} rooms @param {AbortSignal} signal */
async function connected(rooms, signal) {
  const end = performance.now() + CONNECT_MS;
  const joins = rooms.map((room) => room.join());
  const joined = Promise.all(joins).then(() => true, () => false);
  if (!await Promise.race([joined, pause(CONNECT_MS, signal).then(() => false)])) throw new NoFigures('server');
  const reader = new StatisticsReader(rooms[1]);
  while ((await reader.read()).packetsIn === 0) {
    if (performance.now() > end) throw new NoFigures('media');
    await pause(100, signal);
  }
}

/** @param {Room} sender @param {Room} receiver @param {AbortSignal} signal @param {(share: number) => void} progress */
async function measure(sender, receiver, signal, progress) {
  const readers = [new StatisticsReader(sender), new StatisticsReader(receiver)];
  await Promise.all(readers.map((reader) => reader.read()));
  const readings = [];
  while (readings.length < READINGS) {
    await pause(READ_MS, signal);
    if (document.hidden) throw new NoFigures('hidden'); // browsers hardly draw the picture then
    if ([sender, receiver].some((room) => room.connection.state === 'closed')) throw new NoFigures('server');
    const [sent, received] = await Promise.all(readers.map((reader) => reader.read()));
    readings.push({ sent, received });
    progress((readings.length + 1) / (READINGS + 1));
  }
  const way = await wayOf([sender, receiver]);
  return figuresOf(readings, way);
}

/**
 * @param {{sent: import('/sdk/parley.js').Reading, received: import('/sdk/parley.js').Reading}[]} readings one a second
 * @param {Way} way @returns {Figures}
 */
export function figuresOf(readings, way) {
  const trips = readings.flatMap(({ sent, received }) => [sent.roundTripMs, received.roundTripMs]).filter((ms) => ms !== null);
  const lossUp = mean(readings.map(({ sent }) => sent.lossOut));
  const sent = reached(readings.map((reading) => reading.sent.bitrateOut));
  const up = reached(readings.map((reading) => reading.sent.bitrateOut * (1 - reading.sent.lossOut)));
  const down = reached(readings.map((reading) => reading.received.bitrateIn));
  const late = readings.slice(-readings.length / 2);
  /** @param {string} cause */
  const limited = (cause) => late.every((reading) => reading.sent.outgoing.some(({ limitedBy }) => limitedBy === cause));
  return {
    way,
    roundTripMs: trips.length > 0 ? median(trips) : null,
    jitterMs: median(readings.map(({ received }) => Math.max(0, ...received.incoming.filter(({ media }) => media === 'audio').map(({ jitterMs }) => jitterMs)))),
    lossUp,
    // What was lost on the way up is missing on the way down, too.
    lossDown: Math.max(0, mean(readings.map(({ received }) => received.lossIn)) - lossUp),
    up,
    down,
    upIsAll: !limited('bandwidth') && up >= ENOUGH,
    downIsAll: up >= ENOUGH && down >= ALL * sent,
    isDeviceBusy: limited('cpu'),
  };
}

/** The way of media: of several peers, the one that a call would suffer from most. @param {Room[]} rooms @returns {Promise<Way>} */
async function wayOf(rooms) {
  const peers = rooms.flatMap(({ peers: { publish, subscribe } }) => [publish, subscribe]);
  const ways = (await Promise.all(peers.map((peer) => peer?.getStats()))).flatMap((report) => (report ? waysIn(report) : []));
  return ways.includes('relay') ? 'relay' : ways.includes('tcp') ? 'tcp' : 'udp';
}

/** @param {RTCStatsReport} report @returns {Way[]} */
function waysIn(report) {
  const entries = new Map();
  report.forEach((entry) => entries.set(entry.id, entry));
  const pairs = [...entries.values()].filter((entry) => entry.type === 'candidate-pair' && entry.nominated && entry.state === 'succeeded');
  return pairs.map(({ localCandidateId }) => entries.get(localCandidateId)).filter(Boolean)
    .map(({ candidateType, protocol }) => (candidateType === 'relay' ? 'relay' : protocol === 'tcp' ? 'tcp' : 'udp'));
}

/** The highest rate that was reached for `SECONDS_AT_RATE`. @param {number[]} rates @returns {number} */
function reached(rates) {
  return rates.toSorted((a, b) => b - a)[SECONDS_AT_RATE - 1] ?? 0;
}

/** @param {number[]} values */
function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

/** @param {number[]} values */
function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** @param {number} ms @param {AbortSignal} signal */
function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve(undefined);
    }, ms);
  });
}
