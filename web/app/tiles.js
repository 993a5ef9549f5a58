/**
 * The picture side of a call: a tile per participant and per shared screen, laid out again at every change of size or
 * people. A shared screen takes the stage; in a call of two without one, our own picture floats.
 */
import { arrange, h } from './dom.js';
import { bestGrid, chooseShown } from './grid-layout.js';
import { Tile } from './tile.js';
import { t } from './words.js';

const GAP = 8;
/** Tiles smaller than this show nobody; the rest wait for their turn to speak. */
const SMALLEST_AREA = 190 * 120;
const MOST_TILES = 25;
/** Why the server pauses a picture, as far as there are words for it. */
const PAUSED = new Set(['bandwidth', 'overload', 'codec_unsupported', 'disconnected']);

export class Tiles {
  element;
  #grid = h('section', { class: 'grid', 'aria-label': t('tile.people') });
  #stage = h('section', { class: 'stage', 'aria-label': t('tile.screen'), hidden: true });
  #more = h('button', { type: 'button', class: 'tile tile-more' });
  #room;
  #media;
  #name;
  /** @type {Map<string, Tile>} participant → tile */
  #people = new Map();
  /** @type {Map<string, Tile>} track → tile */
  #screens = new Map();
  /** @type {string[]} */
  #shown = [];
  /** When each last spoke, and who does now. @type {Map<string, number>} */
  #spoke = new Map();
  /** @type {Set<string>} */
  #speakers = new Set();
  #frame = 0;
  #observer = new ResizeObserver(() => this.#schedule());
  #firstFrame;

  /**
   * @param {import('/sdk/parley.js').Room} room @param {import('./local-media.js').LocalMedia} media
   * @param {{name: string, signal: AbortSignal, showPeople: () => void, firstFrame: () => void}} options
   */
  constructor(room, media, { name, signal, showPeople, firstFrame }) {
    this.#room = room;
    this.#media = media;
    this.#name = name;
    this.#firstFrame = firstFrame;
    this.element = h('div', { class: 'tiles' }, this.#stage, this.#grid);
    this.#more.addEventListener('click', showPeople);
    const again = () => this.#schedule();
    for (const type of ['participant-joined', 'participant-updated', 'participant-left', 'track-published', 'track-changed',
      'track-unpublished', 'track-media', 'local-changed', 'grants']) room.addEventListener(type, again, { signal });
    room.addEventListener('speakers', ({ detail }) => this.#speaking(detail), { signal });
    media.addEventListener('change', again, { signal });
    this.#observer.observe(this.element);
    signal.addEventListener('abort', () => this.#close());
    this.#update();
  }

  /** Changes come in bursts; one layout per frame is enough. */
  #schedule() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#update();
    });
  }

  #update() {
    const others = [...this.#room.roster.participants.values()].filter(({ id }) => id !== this.#room.participant);
    const screens = [...this.#room.roster.tracks.values()].filter((track) => track.source === 'screen');
    this.#reconcileScreens(screens);
    const layout = screens.length > 0 ? 'stage' : others.length === 1 ? 'duo' : 'grid';
    this.element.dataset.layout = layout;
    this.#stage.hidden = screens.length === 0;
    const limit = this.#limit(layout);
    const ids = others.map(({ id }) => id);
    const before = this.#shown;
    this.#shown = chooseShown(ids, before, this.#spoke, ids.length + 1 > limit ? Math.max(1, limit - 2) : limit);
    const tiles = this.#shown.flatMap((id) => {
      const participant = this.#room.roster.participants.get(id);
      return participant ? [this.#person(participant)] : [];
    });
    this.#hideRest(ids);
    tiles.push(this.#self());
    const elements = tiles.map((tile) => tile.element);
    const hidden = ids.length - this.#shown.length;
    if (hidden > 0) {
      this.#more.textContent = `+${hidden}`;
      this.#more.setAttribute('aria-label', t('tile.more', { count: hidden }));
      elements.push(this.#more);
    }
    arrange(this.#grid, elements);
    this.#place(layout, elements.length);
  }

  /** @param {string} layout */
  #limit(layout) {
    if (layout !== 'grid') return MOST_TILES;
    const { width, height } = this.#grid.getBoundingClientRect();
    if (width === 0) return MOST_TILES;
    return Math.max(4, Math.min(MOST_TILES, Math.floor((width * height) / SMALLEST_AREA)));
  }

  /** @param {string} layout @param {number} count */
  #place(layout, count) {
    const style = this.#grid.style;
    if (layout !== 'grid') {
      style.removeProperty('--columns');
      return;
    }
    const grid = bestGrid(count, this.#grid.clientWidth, this.#grid.clientHeight, GAP);
    style.setProperty('--columns', String(grid.columns));
    style.setProperty('--tile-width', `${grid.tileWidth}px`);
    style.setProperty('--tile-height', `${grid.tileHeight}px`);
  }

  /** @param {import('/sdk/parley.js').Participant} participant */
  #person(participant) {
    let tile = this.#people.get(participant.id);
    if (!tile) {
      tile = new Tile({ id: participant.id, kind: 'person', firstFrame: this.#firstFrame });
      this.#people.set(participant.id, tile);
    }
    const tracks = this.#room.roster.tracksOf(participant.id);
    const camera = tracks.find((track) => track.source === 'camera');
    const microphone = tracks.find((track) => track.source === 'microphone');
    tile.describe({ name: participant.name, muted: !microphone || microphone.muted });
    tile.show(camera && !camera.muted ? camera.mediaTrack : null);
    if (camera && !camera.muted) this.#room.watch(tile.element, camera.id);
    else this.#room.unwatch(tile.element);
    if (!participant.connected) tile.setOverlay(t('tile.reconnecting'), 'signal');
    else tile.setOverlay(camera && !camera.muted ? pauseText(camera) : '');
    tile.setSpeaking(this.#speakers.has(participant.id));
    return tile;
  }

  #self() {
    const id = this.#room.participant || 'self';
    let tile = this.#people.get('self');
    if (!tile) {
      tile = new Tile({ id, kind: 'person', self: true });
      this.#people.set('self', tile);
    }
    tile.element.dataset.id = id;
    tile.describe({ name: this.#name, label: t('person.you', { name: this.#name }), muted: !this.#media.microphone || !this.#media.microphoneOn });
    tile.show(this.#media.camera);
    tile.setSpeaking(this.#speakers.has(id));
    return tile;
  }

  /** @param {import('/sdk/parley.js').RemoteTrack[]} screens */
  #reconcileScreens(screens) {
    for (const track of screens) {
      let tile = this.#screens.get(track.id);
      if (!tile) {
        tile = new Tile({ id: track.id, kind: 'screen', firstFrame: this.#firstFrame });
        this.#screens.set(track.id, tile);
        this.#room.watch(tile.element, track.id);
      }
      const owner = this.#room.roster.participants.get(track.participant);
      tile.describe({ name: t('tile.screen-of', { name: owner?.name ?? t('person.somebody') }), muted: false });
      tile.show(track.mediaTrack);
      tile.setOverlay(pauseText(track));
    }
    for (const [id, tile] of this.#screens) {
      if (screens.some((track) => track.id === id)) continue;
      this.#room.unwatch(tile.element);
      tile.close();
      this.#screens.delete(id);
    }
    arrange(this.#stage, [...this.#screens.values()].map((tile) => tile.element));
  }

  /** Whoever has no tile costs no bandwidth; whoever is gone loses the tile. @param {string[]} ids */
  #hideRest(ids) {
    for (const [id, tile] of this.#people) {
      if (id === 'self' || this.#shown.includes(id)) continue;
      this.#room.unwatch(tile.element);
      tile.close();
      this.#people.delete(id);
    }
    for (const id of ids) {
      if (this.#shown.includes(id)) continue;
      const camera = this.#room.roster.tracksOf(id).find((track) => track.source === 'camera');
      if (camera) this.#room.subscribe(camera.id, { on: false });
    }
  }

  /** @param {{participant: string, level: number}[]} speakers */
  #speaking(speakers) {
    const now = performance.now();
    this.#speakers = new Set(speakers.map(({ participant }) => participant));
    for (const id of this.#speakers) this.#spoke.set(id, now);
    this.#schedule();
  }

  #close() {
    cancelAnimationFrame(this.#frame);
    this.#observer.disconnect();
    for (const tile of [...this.#people.values(), ...this.#screens.values()]) tile.close();
  }
}

/** @param {import('/sdk/parley.js').RemoteTrack} track */
function pauseText(track) {
  if (!track.paused) return '';
  return t(PAUSED.has(track.pausedReason) ? `tile.paused-${track.pausedReason}` : 'tile.paused');
}
