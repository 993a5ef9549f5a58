/** The connection as it is: a short word in the head of the call, and a banner when something is wrong. */
import { StatisticsReader, qualityOf } from '/sdk/parley.js';
import { h, setText } from './dom.js';
import { icon } from './icons.js';
import { t } from './words.js';

const READ_MS = 2_000;
export class ConnectionView {
  /** For the head of the call. */
  element;
  banner;
  #room;
  #reader;
  #word = h('span', { class: 'connection-word' });
  #text = h('p');
  #retry;
  /** @type {ReturnType<typeof setInterval>} */
  #timer;

  /** @param {import('/sdk/parley.js').Room} room @param {AbortSignal} signal */
  constructor(room, signal) {
    this.#room = room;
    this.#reader = new StatisticsReader(room);
    this.#retry = h('button', { type: 'button', class: 'button small', onclick: () => room.retryNow() }, t('connection.again'));
    this.element = h('p', { class: 'connection', 'data-state': 'connecting' }, icon('signal'), this.#word);
    this.banner = h('div', { class: 'banner banner-connection', role: 'status', hidden: true }, icon('warning'), this.#text, this.#retry);
    room.addEventListener('connection', () => this.#update(), { signal });
    const countdown = setInterval(() => this.#update(), 1000);
    this.#timer = setInterval(() => void this.#read(), READ_MS);
    signal.addEventListener('abort', () => {
      clearInterval(countdown);
      clearInterval(this.#timer);
    });
    this.#update();
  }

  #update() {
    const { state, retryAt } = this.#room.connection;
    this.element.dataset.state = state;
    if (state !== 'connected') {
      delete this.element.dataset.quality;
      const words = state === 'idle' ? '' : t(`connection.${state}`);
      setText(this.#word, words);
      this.element.title = words;
    } else if (!this.element.dataset.quality) {
      setText(this.#word, t('connection.connected'));
    }
    const seconds = retryAt === undefined ? 0 : Math.ceil((retryAt - performance.now()) / 1000);
    this.banner.hidden = state !== 'reconnecting' && state !== 'media-lost';
    this.#retry.hidden = seconds < 1;
    setText(this.#text, sentence(state, seconds));
  }

  async #read() {
    if (this.#room.connection.state !== 'connected') return;
    const reading = await this.#reader.read();
    const quality = qualityOf(reading);
    this.element.dataset.quality = quality;
    setText(this.#word, t(quality === 'unknown' ? 'connection.connected' : `connection.${quality}`));
    this.element.title = details(reading);
  }
}

/** @param {string} state @param {number} seconds */
function sentence(state, seconds) {
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
