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
const CHEER_MS = 4_000;
const MOST_CHEERS = 5;
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
  /** Whoever was made the large one here, '' for nobody. */
  #pinned = '';
  /** One large picture of who speaks, or all alike. @type {'grid'|'speaker'} */
  mode = /** @type {'grid'|'speaker'} */ ('grid');
  /** Who is large in that view: the last to speak. */
  #speaker = '';
  #changed;
  #cheers = h('div', { class: 'cheers', 'aria-live': 'polite' });

  /**
   * @param {import('/sdk/parley.js').Room} room @param {import('./local-media.js').LocalMedia} media
   * @param {{name: string, signal: AbortSignal, showPeople: () => void, firstFrame: () => void, changed: () => void}} options
   */
  constructor(room, media, { name, signal, showPeople, firstFrame, changed }) {
    this.#changed = changed;
    this.#room = room;
    this.#media = media;
    this.#name = name;
    this.#firstFrame = firstFrame;
    this.element = h('div', { class: 'tiles' }, this.#stage, this.#grid, this.#cheers);
    this.#more.addEventListener('click', showPeople);
    const again = () => this.#schedule();
    for (const type of ['participant-joined', 'participant-updated', 'participant-left', 'track-published', 'track-changed',
      'track-unpublished', 'track-media', 'local-changed', 'grants']) room.addEventListener(type, again, { signal });
    room.addEventListener('reaction', ({ detail }) => this.#reacted(detail), { signal });
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
    const large = this.#large(others, screens.length > 0);
    this.#reconcileScreens(screens);
    const layout = screens.length > 0 || large ? 'stage' : others.length === 1 ? 'duo' : 'grid';
    this.element.dataset.layout = layout;
    this.element.dataset.count = String(others.length);
    this.#stage.hidden = layout !== 'stage';
    const limit = this.#limit(layout);
    const ids = others.map(({ id }) => id);
    const before = this.#shown;
    this.#shown = chooseShown(ids, before, this.#spoke, ids.length + 1 > limit ? Math.max(1, limit - 2) : limit);
    if (ids.includes(large) && !this.#shown.includes(large)) this.#shown[this.#shown.length - 1] = large;
    const tiles = this.#shown.flatMap((id) => {
      const participant = this.#room.roster.participants.get(id);
      return participant ? [this.#person(participant)] : [];
    });
    this.#hideRest(ids);
    tiles.push(this.#self());
    const big = tiles.find(({ element }) => large !== '' && element.dataset.id === large);
    const shared = [...this.#screens.values()];
    // A person made large takes the stage from shared screens; they line up with the others.
    const staged = big ? [big] : shared;
    const lined = big ? [...shared, ...tiles.filter((tile) => tile !== big)] : tiles;
    const elements = lined.map((tile) => tile.element);
    const hidden = ids.length - this.#shown.length;
    if (hidden > 0) {
      this.#more.textContent = `+${hidden}`;
      this.#more.setAttribute('aria-label', t('tile.more', { count: hidden }));
      elements.push(this.#more);
    }
    arrange(this.#stage, staged.map((tile) => tile.element));
    arrange(this.#grid, elements);
    for (const tile of [...staged, ...lined]) tile.revive();
    this.#place(layout, elements.length);
  }

  /** Make a person the large one, or nobody if they are. @param {string} id */
  pin(id) {
    this.#pinned = this.#pinned === id ? '' : id;
    this.#update();
    this.#changed();
  }

  /** Show one large picture of who speaks, or all alike. @param {'grid'|'speaker'} mode */
  setMode(mode) {
    this.mode = mode;
    this.#pinned = '';
    this.#update();
    this.#changed();
  }

  /** Who is shown large, '' for nobody. @param {import('/sdk/parley.js').Participant[]} others @param {boolean} shares @returns {string} */
  #large(others, shares) {
    if (!others.some(({ id }) => id === this.#pinned)) this.#pinned = '';
    if (this.#pinned || this.mode === 'grid' || shares) return this.#pinned;
    if (!others.some(({ id }) => id === this.#speaker)) this.#speaker = others[0]?.id ?? '';
    return others.length > 1 ? this.#speaker : '';
  }

  /** @param {{participant: string, emoji: string}} reaction */
  #reacted({ participant, emoji }) {
    const own = participant === this.#room.participant;
    const tile = this.#people.get(own ? 'self' : participant);
    tile?.react(emoji);
    const name = own ? this.#name : this.#room.roster.participants.get(participant)?.name ?? t('person.somebody');
    const cheer = h('p', { class: 'cheer' }, h('span', {}, emoji), ' ', name);
    this.#cheers.append(cheer);
    while (this.#cheers.children.length > MOST_CHEERS) this.#cheers.firstElementChild.remove();
    setTimeout(() => cheer.remove(), CHEER_MS);
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
      tile = new Tile({ id: participant.id, kind: 'person', firstFrame: this.#firstFrame, pin: () => this.pin(participant.id) });
      this.#people.set(participant.id, tile);
    }
    const tracks = this.#room.roster.tracksOf(participant.id);
    const camera = tracks.find((track) => track.source === 'camera');
    const microphone = tracks.find((track) => track.source === 'microphone');
    tile.describe({
      name: participant.name, muted: !microphone || microphone.muted, hand: participant.hand > 0, pinned: this.#pinned === participant.id,
    });
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
    tile.describe({ name: this.#name, label: t('person.you', { name: this.#name }), muted: !this.#media.microphone || !this.#media.microphoneOn,
      hand: (this.#room.roster.participants.get(id)?.hand ?? 0) > 0 });
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
    const [loudest] = speakers.filter(({ participant }) => participant !== this.#room.participant);
    if (loudest) this.#speaker = loudest.participant;
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
