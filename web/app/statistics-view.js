/** Figures of each picture on its tile, with small graphs of the last minute. Loaded when they are first wanted. */
import { StatisticsReader } from '/sdk/parley.js';
import { h, setText } from './dom.js';
import { t } from './words.js';

const READ_MS = 1_000;
const KEPT = 60;
const GRAPH = { width: 90, height: 18 };

/**
 * What the graphs of a tile show; -1 where it is unknown. `trouble`: the share of lost packets.
 * @typedef {{lines: string[], bitrate: number, trouble: number, jitterMs: number, roundTripMs: number}} Figures
 */

/** The graphs: what they show, and what is said about the latest value. @type {[('bitrate'|'roundTripMs'|'jitterMs'), string][]} */
const GRAPHS = [['bitrate', 'statistics.graph-bitrate'], ['roundTripMs', 'statistics.graph-round-trip'], ['jitterMs', 'statistics.graph-jitter']];

export class StatisticsView {
  #call;
  #tiles;
  #reader;
  #timer;
  #closed = false;
  /** @type {WeakMap<Element, Card>} by tile */
  #cards = new WeakMap();

  /** @param {import('./call.js').Call} call @param {HTMLElement} tiles the element that contains the tiles */
  constructor(call, tiles) {
    this.#call = call;
    this.#tiles = tiles;
    this.#reader = new StatisticsReader(call.room);
    this.#timer = setInterval(() => void this.#read(), READ_MS);
    void this.#read();
  }

  close() {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const card of this.#tiles.querySelectorAll('.tile-statistics')) card.remove();
  }

  async #read() {
    if (document.hidden) return;
    const reading = await this.#reader.read();
    if (this.#closed) return;
    for (const tile of /** @type {NodeListOf<HTMLElement>} */ (this.#tiles.querySelectorAll('.tile[data-id]'))) {
      const card = this.#cards.get(tile) ?? new Card();
      this.#cards.set(tile, card);
      if (card.element.parentElement !== tile) tile.append(card.element);
      card.show(tile.classList.contains('tile-self') ? this.#own(reading) : this.#others(reading, tile.dataset.id ?? ''));
    }
  }

  /** @param {import('/sdk/parley.js').Reading} reading @returns {Figures} */
  #own(reading) {
    const layers = reading.outgoing.filter(({ media, bitrate }) => media === 'video' && bitrate > 0);
    const bitrate = layers.reduce((sum, layer) => sum + layer.bitrate, 0);
    const lines = [...layers.sort((a, b) => b.height - a.height).map((layer) => t('statistics.layer', { ...layer, layer: [layer.rid, layer.layers].filter(Boolean).join(' ') || '1', fps: Math.round(layer.framesPerSecond), kbit: Math.round(layer.bitrate / 1000) })),
      t('statistics.way', { loss: reading.lossOut, ms: Math.round(reading.roundTripMs ?? 0) })];
    return { lines, bitrate, trouble: reading.lossOut, jitterMs: -1, roundTripMs: reading.roundTripMs ?? -1 };
  }

  /** @param {import('/sdk/parley.js').Reading} reading @param {string} id of a participant or a shared screen @returns {Figures} */
  #others(reading, id) {
    const { roster } = this.#call.room;
    const tracks = roster.tracks.has(id) ? [roster.tracks.get(id)] : roster.tracksOf(id).filter(({ source }) => source === 'camera' || source === 'microphone');
    let bitrate = 0;
    let trouble = 0;
    let jitterMs = -1;
    const lines = [];
    for (const track of tracks) {
      const found = track?.mediaTrack && reading.incoming.find(({ trackId }) => trackId === track.mediaTrack?.id);
      if (!found) continue;
      trouble = Math.max(trouble, found.loss);
      jitterMs = Math.max(jitterMs, found.jitterMs);
      if (found.media === 'video') {
        bitrate += found.bitrate;
        lines.unshift(t('statistics.picture', { ...found, fps: Math.round(found.framesPerSecond), kbit: Math.round(found.bitrate / 1000) }),
          t('statistics.quality', { loss: found.loss, jitter: Math.round(found.jitterMs), freezes: found.freezes }));
      } else {
        if (tracks.length === 1) bitrate += found.bitrate;
        lines.push(t('statistics.sound', { codec: found.codec, kbit: Math.round(found.bitrate / 1000), loss: found.loss, jitter: Math.round(found.jitterMs) }));
      }
    }
    return { lines: lines.length > 0 ? lines : [t('statistics.nothing')], bitrate, trouble, jitterMs, roundTripMs: reading.roundTripMs ?? -1 };
  }
}

/** The figures of one tile. */
class Card {
  #lines = h('ul');
  /** @type {{element: HTMLElement, canvas: HTMLCanvasElement, word: HTMLElement}[]} */
  #graphs = GRAPHS.map(() => {
    const canvas = h('canvas', { ...GRAPH, 'aria-hidden': 'true' });
    const word = h('dt');
    return { element: h('div', { class: 'tile-graph' }, word, h('dd', {}, canvas)), canvas, word };
  });
  element = h('div', { class: 'tile-statistics', role: 'group', 'aria-label': t('statistics.title') }, this.#lines, h('dl', { class: 'tile-graphs' }, ...this.#graphs.map(({ element }) => element)));
  /** @type {Figures[]} */
  #past = [];

  /** @param {Figures} figures */
  show(figures) {
    this.#past.push(figures);
    if (this.#past.length > KEPT) this.#past.shift();
    while (this.#lines.childElementCount > figures.lines.length) this.#lines.lastElementChild.remove();
    while (this.#lines.childElementCount < figures.lines.length) this.#lines.append(h('li'));
    figures.lines.forEach((line, index) => setText(this.#lines.children[index], line));
    GRAPHS.forEach(([name, words], index) => {
      const { element, canvas, word } = this.#graphs[index];
      element.hidden = figures[name] < 0;
      if (element.hidden) return;
      setText(word, t(words, { value: Math.round(name === 'bitrate' ? figures.bitrate / 1000 : figures[name]) }));
      this.#draw(canvas, name);
    });
  }

  /** A line of the last minute; in that of the bit rate, seconds with loss are red. @param {HTMLCanvasElement} canvas @param {'bitrate'|'roundTripMs'|'jitterMs'} name */
  #draw(canvas, name) {
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    const { width, height } = GRAPH;
    const most = Math.max(1, ...this.#past.map((one) => one[name]));
    const step = width / (KEPT - 1);
    context.clearRect(0, 0, width, height);
    if (name === 'bitrate') {
      context.fillStyle = '#ff8a80';
      this.#past.forEach(({ trouble }, index) => {
        const tall = Math.min(1, trouble * 5) * height;
        context.fillRect(index * step - step / 2, height - tall, step, tall);
      });
    }
    context.strokeStyle = '#8ab4ff';
    context.lineWidth = 1.5;
    context.beginPath();
    this.#past.forEach((one, index) => context.lineTo(index * step, height - 1 - (Math.max(0, one[name]) / most) * (height - 3)));
    context.stroke();
  }
}
