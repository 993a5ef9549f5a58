/** The state of the connection: a short label in the header of the call, and a banner when something is wrong. */
import { StatisticsReader, qualityOf } from '/sdk/parley.js';
import { h, setText } from './dom.js';
import { icon } from './icons.js';
import { t } from './words.js';

const READ_MS = 1_000;
/** The interval of checking that media arrives, and the maximum time for the server to answer a probe. */
const LOOK_MS = 500;
const ANSWER_MS = 800;

export class ConnectionView {
  /** Shown in the header of the call. */
  element;
  banner;
  #room;
  #reader;
  #word = h('span', { class: 'connection-word' });
  #text = h('p');
  #retry;
  /** @type {ReturnType<typeof setInterval>} */
  #timer;

  #quality;
  /** The bytes received until the last check, and whether any arrived between the last two checks. */
  #received = 0;
  #flowed = false;
  /** True while the server does not answer although its connections are open. */
  #silent = false;
  #asking = false;
  /** @type {import('/sdk/parley.js').Reading|null} */
  #reading = null;

  /** @param {import('/sdk/parley.js').Room} room @param {AbortSignal} signal @param {(quality: string) => void} quality receives each rating */
  constructor(room, signal, quality) {
    this.#room = room;
    this.#quality = quality;
    this.#reader = new StatisticsReader(room);
    this.#retry = h('button', { type: 'button', class: 'button small', onclick: () => room.retryNow() }, t('connection.again'));
    this.element = h('p', { class: 'connection', 'data-state': 'connecting' }, icon('signal'), this.#word);
    this.banner = h('div', { class: 'banner banner-connection', role: 'status', hidden: true }, icon('warning'), this.#text, this.#retry);
    for (const type of ['connection', 'uplink']) room.addEventListener(type, () => this.#update(), { signal });
    // Waiting for the next reading would make bad news a second older.
    for (const type of ['participant-updated', 'track-changed', 'uplink']) room.addEventListener(type, () => this.#rate(), { signal });
    const countdown = setInterval(() => this.#update(), 1000);
    this.#timer = setInterval(() => void this.#read(), READ_MS);
    const look = setInterval(() => void this.#look(), LOOK_MS);
    signal.addEventListener('abort', () => {
      clearInterval(countdown);
      clearInterval(look);
      clearInterval(this.#timer);
    });
    this.#update();
  }

  #update() {
    const { state, retryAt, code } = this.#room.connection;
    this.element.dataset.state = state;
    if (this.#silent && state === 'connected') {
      this.element.dataset.state = 'reconnecting';
      delete this.element.dataset.quality;
      setText(this.#word, t('connection.silent'));
    } else if (state !== 'connected') {
      this.#reading = null;
      delete this.element.dataset.quality;
      const words = state === 'idle' ? '' : t(`connection.${state}`);
      setText(this.#word, words);
      this.element.title = words;
    } else if (!this.element.dataset.quality) {
      setText(this.#word, t('connection.connected'));
    }
    const seconds = retryAt === undefined ? 0 : Math.ceil((retryAt - performance.now()) / 1000);
    const isSilent = this.#silent && state === 'connected';
    const rests = state === 'connected' && this.#room.uplink.cameraRests;
    this.banner.hidden = state !== 'reconnecting' && state !== 'media-lost' && !isSilent && !rests;
    this.#retry.hidden = seconds < 1;
    setText(this.#text, isSilent ? t('connection.silent-text') : rests ? t('connection.camera-rests') : sentence(state, seconds, code));
  }

  /**
   * Detect a server that is frozen or cut off long before its connections time out: probe it when all media, and all reports
   * on our media, stop arriving at once. A room that falls silent costs one probe.
   */
  async #look() {
    if (this.#room.connection.state !== 'connected' || this.#asking || document.hidden) return;
    const received = await receivedBy(this.#room.peers);
    const flows = received > this.#received;
    const stopped = this.#flowed && !flows;
    this.#received = received;
    this.#flowed = flows;
    if (!stopped && !this.#silent) return;
    this.#asking = true;
    const answered = flows || await this.#room.answers(ANSWER_MS);
    this.#asking = false;
    if (this.#silent === !answered) return;
    this.#silent = !answered;
    this.#update();
  }

  /** The room's evidence about our network. @returns {import('/sdk/parley.js').Seen} */
  #seen() {
    const shown = [...this.#room.roster.tracks.values()].filter((track) => !track.muted);
    return {
      paused: shown.some((track) => track.paused && track.pausedReason === 'bandwidth'),
      told: this.#room.roster.participants.get(this.#room.participant)?.quality ?? '',
      isThin: this.#room.uplink.isThin,
    };
  }

  async #read() {
    if (this.#room.connection.state !== 'connected' || this.#silent) return;
    this.#reading = await this.#reader.read();
    this.#rate();
  }

  /** Rate the network by the last reading, and by what the server says since. */
  #rate() {
    if (!this.#reading || this.#room.connection.state !== 'connected' || this.#silent) return;
    const quality = qualityOf(this.#reading, this.#seen());
    this.#quality(quality);
    this.element.dataset.quality = quality;
    setText(this.#word, wordFor(quality));
    this.element.title = details(this.#reading);
  }
}

/** @param {import('/sdk/parley.js').Quality} quality */
function wordFor(quality) {
  return quality === 'unknown' ? t('connection.connected') : t(`connection.${quality}`);
}

/** @param {string} state @param {number} seconds @param {string} [code] why */
function sentence(state, seconds, code) {
  if (code === 'moved') return t('connection.moved');
  if (state === 'media-lost') return t('connection.media-lost-text');
  return seconds > 0 ? t('connection.lost-soon', { seconds }) : t('connection.lost');
}

/** @param {import('/sdk/parley.js').Reading} reading */
function details(reading) {
  /** @param {number} bits */
  const rate = (bits) => (bits >= 1e6 ? t('connection.mbit', { rate: bits / 1e6 }) : t('connection.kbit', { rate: Math.round(bits / 1000) }));
  const values = { loss: Math.max(reading.lossIn, reading.lossOut), in: rate(reading.bitrateIn), out: rate(reading.bitrateOut) };
  if (reading.roundTripMs === null) return t('connection.details', values);
  return t('connection.details-delay', { ...values, ms: Math.round(reading.roundTripMs) });
}

/** @param {import('/sdk/parley.js').Room['peers']} peers @returns {Promise<number>} bytes received by all of them */
async function receivedBy({ publish, subscribe }) {
  let bytes = 0;
  for (const report of await Promise.all([publish?.getStats(), subscribe?.getStats()])) {
    report?.forEach((entry) => {
      if (entry.type === 'candidate-pair' && entry.nominated) bytes += entry.bytesReceived ?? 0;
    });
  }
  return bytes;
}
