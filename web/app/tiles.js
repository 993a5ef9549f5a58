/**
 * The video area of a call: a tile per participant and per shared screen, laid out again when the size or the participants
 * change. A shared screen takes the stage; in a call of two without one, our own video floats over the other.
 */
import { arrange, h, setText } from './dom.js';
import { iconButton } from './fields.js';
import { bestGrid, chooseShown } from './grid-layout.js';
import { moveByHand } from './own-picture.js';
import { Tile } from './tile.js';
import { t } from './words.js';

const GAP = 8;
/** The minimum size of tiles: further participants get one when they speak. */
const SMALLEST_AREA = 190 * 120;
const MOST_LINED = 25;
const CHEER_MS = 4_000;
const MOST_CHEERS = 5;
/** The server's reasons for pausing a video that have a text. */
const PAUSED = new Set(['bandwidth', 'overload', 'codec_unsupported', 'disconnected']);

export class Tiles {
  element;
  #grid = h('section', { class: 'grid', 'aria-label': t('tile.people') });
  #stage = h('section', { class: 'stage', 'aria-label': t('tile.screen'), hidden: true });
  #more = h('button', { type: 'button', class: 'tile tile-more' });
  #pager = h('div', { class: 'pager', role: 'group', 'aria-label': t('tile.pages'), hidden: true });
  #pageWord = h('span', { class: 'pager-word', 'aria-live': 'polite' });
  #call;
  #room;
  #media;
  #view;
  #avatars;
  #name;
  /** @type {Map<string, Tile>} participant → tile */
  #people = new Map();
  /** @type {Map<string, Tile>} track → tile */
  #screens = new Map();
  /** The participants on the first page, who stay in place. @type {string[]} */
  #first = [];
  /** The participants shown now. @type {string[]} */
  #shown = [];
  #pages = 1;
  /** The time when each participant last spoke, and the current speakers. @type {Map<string, number>} */
  #spoke = new Map();
  /** @type {Set<string>} */
  #speakers = new Set();
  #frame = 0;
  #observer = new ResizeObserver(() => this.#schedule());
  #firstFrame;
  /** The participant shown large in the speaker view: the last to speak. */
  #speaker = '';
  #ownNetwork = '';
  /** Shown on touch screens, whose devices have a camera on each side. */
  #turnCamera = iconButton('repeat', t('tile.next-camera'), { class: 'tile-camera', onclick: () => void this.#media.nextCamera() });
  #cheers = h('div', { class: 'cheers', 'aria-live': 'polite' });

  /** @param {import('./call.js').Call} call @param {{signal: AbortSignal, showPeople: () => void, firstFrame: () => void}} options */
  constructor(call, { signal, showPeople, firstFrame }) {
    const { room, media, view, name, avatars } = call;
    this.#call = call;
    this.#room = room;
    this.#avatars = avatars;
    this.#media = media;
    this.#view = view;
    this.#name = name;
    this.#firstFrame = firstFrame;
    this.#pager.append(iconButton('previous', t('tile.page-previous'), { 'data-page': 'previous', onclick: () => this.turn(-1) }), this.#pageWord,
      iconButton('next', t('tile.page-next'), { 'data-page': 'next', onclick: () => this.turn(1) }));
    this.element = h('div', { class: 'tiles' }, this.#stage, this.#grid, this.#pager, this.#cheers);
    this.#more.addEventListener('click', showPeople);
    const again = () => this.#schedule();
    for (const type of ['participant-joined', 'participant-updated', 'participant-left', 'track-published', 'track-changed',
      'track-unpublished', 'track-media', 'local-changed', 'grants', 'shared']) room.addEventListener(type, again, { signal });
    room.addEventListener('reaction', ({ detail }) => this.#reacted(detail), { signal });
    room.addEventListener('speakers', ({ detail }) => this.#speaking(detail), { signal });
    for (const state of [media, view, avatars]) state.addEventListener('change', again, { signal });
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
    const { mode, corner } = this.#view;
    // Attendees, who may not publish, have no tiles.
    const others = [...this.#room.roster.participants.values()].filter(({ id, attendee }) => id !== this.#room.participant && !attendee);
    const watches = this.#room.participant !== '' && this.#room.grants.publish.length === 0 && others.length > 0;
    const screens = [...this.#room.roster.tracks.values()].filter((track) => track.source === 'screen');
    const large = this.#large(others, screens.length > 0);
    this.#reconcileScreens(screens);
    const layout = screens.length > 0 || large ? 'stage' : others.length === 1 && !watches ? 'duo' : 'grid';
    const beside = layout === 'stage' && mode === 'side' && !large;
    Object.assign(this.element.dataset, { layout, corner, count: others.length, beside: beside ? 'yes' : 'no', mirror: this.#media.mirrored ? 'yes' : 'no' });
    this.#stage.hidden = layout !== 'stage';
    const pictured = this.#pictured(others);
    const paged = layout === 'grid' || beside;
    this.#choose(pictured, paged ? this.#limit() : MOST_LINED, paged);
    if (others.some(({ id }) => id === large) && !this.#shown.includes(large)) this.#shown[Math.max(0, this.#shown.length - 1)] = large;
    const tiles = this.#shown.flatMap((id) => {
      const participant = this.#room.roster.participants.get(id);
      return participant ? [this.#person(participant)] : [];
    });
    this.#hideRest(others.map(({ id }) => id));
    const self = this.#self();
    if (large === self.element.dataset.id) tiles.push(self);
    else if (!watches && this.#view.page === 0 && !(this.#view.onlyVideo && !this.#media.camera && pictured.length > 0)) tiles.push(self);
    const big = tiles.find(({ element }) => large !== '' && element.dataset.id === large);
    const shared = [...this.#screens.values()];
    // A pinned person replaces shared screens on the stage; the screens join the other tiles.
    const staged = big ? [big] : shared;
    const lined = big ? [...shared, ...tiles.filter((tile) => tile !== big)] : tiles;
    const elements = lined.map((tile) => tile.element);
    const hidden = paged ? 0 : pictured.length - this.#shown.length;
    if (hidden > 0) {
      this.#more.textContent = `+${hidden}`;
      this.#more.setAttribute('aria-label', t('tile.more', { count: hidden }));
      elements.push(this.#more);
    }
    arrange(this.#stage, staged.map((tile) => tile.element));
    arrange(this.#grid, elements);
    for (const tile of [...staged, ...lined]) tile.revive();
    this.#place(paged, elements.length);
    this.#showPager(paged);
  }

  /** The participants who get a tile: all, or only those with video, if there are any. @param {import('/sdk/parley.js').Participant[]} others @returns {string[]} */
  #pictured(others) {
    const all = others.map(({ id }) => id);
    if (!this.#view.onlyVideo) return all;
    const seen = all.filter((id) => this.#room.roster.tracksOf(id).some(({ source, muted }) => source === 'camera' && !muted));
    return seen.length > 0 ? seen : all;
  }

  /** Choose the participants to show: the speakers on the first page, the rest in order on the others. @param {string[]} ids @param {number} limit @param {boolean} paged */
  #choose(ids, limit, paged) {
    // Our own video is on the first page.
    const first = ids.length + 1 > limit ? Math.max(1, limit - (paged ? 1 : 2)) : limit;
    this.#first = chooseShown(ids, this.#first, this.#spoke, first);
    const rest = ids.filter((id) => !this.#first.includes(id));
    this.#pages = paged ? 1 + Math.ceil(rest.length / limit) : 1;
    this.#view.page = Math.min(this.#view.page, this.#pages - 1);
    const { page } = this.#view;
    this.#shown = page === 0 ? [...this.#first] : rest.slice((page - 1) * limit, page * limit);
  }

  /** Turn to another page of the grid. @param {number} by */
  turn(by) {
    const page = this.#view.page + by;
    if (page >= 0 && page < this.#pages) this.#view.set({ page });
  }

  /** Note the quality of our own connection. @param {string} quality */
  setOwnNetwork(quality) {
    this.#ownNetwork = quality;
    this.#people.get('self')?.setNetwork(quality);
  }

  /** @param {boolean} paged */
  #showPager(paged) {
    const { page } = this.#view;
    this.#pager.hidden = !paged || this.#pages < 2;
    this.element.dataset.paged = this.#pager.hidden ? 'no' : 'yes';
    if (this.#pager.hidden) return;
    setText(this.#pageWord, t('tile.page', { page: page + 1, pages: this.#pages }));
    this.#pager.firstElementChild.disabled = page === 0;
    this.#pager.lastElementChild.disabled = page === this.#pages - 1;
  }

  /** The participant shown large, '' for nobody. @param {import('/sdk/parley.js').Participant[]} others @param {boolean} shares @returns {string} */
  #large(others, shares) {
    const { pinned, mode } = this.#view;
    if (others.some(({ id }) => id === pinned)) return pinned;
    // The spotlight applies to everybody who has pinned nobody.
    const { spotlight = '' } = this.#room.shared;
    if (!shares && (spotlight === this.#room.participant || others.some(({ id }) => id === spotlight))) return spotlight;
    if (mode !== 'speaker' || shares) return '';
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

  /** The number of tiles on a page: the chosen maximum, or fewer if tiles would become too small. */
  #limit() {
    const { width, height } = this.#grid.getBoundingClientRect();
    if (width === 0) return this.#view.perPage;
    return Math.max(4, Math.min(this.#view.perPage, Math.floor((width * height) / SMALLEST_AREA)));
  }

  /** @param {boolean} gridded @param {number} count */
  #place(gridded, count) {
    const style = this.#grid.style;
    if (!gridded) {
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
      tile = new Tile({ id: participant.id, kind: 'person', firstFrame: this.#firstFrame, pin: () => this.#view.set({ pinned: this.#view.pinned === participant.id ? '' : participant.id }) });
      this.#people.set(participant.id, tile);
    }
    const tracks = this.#room.roster.tracksOf(participant.id);
    const camera = tracks.find((track) => track.source === 'camera');
    const microphone = tracks.find((track) => track.source === 'microphone');
    tile.describe({
      name: participant.name, muted: !microphone || microphone.muted, hand: participant.hand > 0, pinned: this.#view.pinned === participant.id,
      picture: this.#avatars.of(participant.id),
    });
    tile.show(camera && !camera.muted ? camera.mediaTrack : null);
    if (camera && !camera.muted) this.#room.watch(tile.element, camera.id);
    else this.#room.unwatch(tile.element);
    tile.setNetwork(NETWORKS[participant.quality] ?? '');
    // The last picture of somebody whose link is dead would look like one who sits still.
    if (!participant.connected || participant.quality === 'lost') tile.setOverlay(t('tile.reconnecting'), 'signal');
    else tile.setOverlay(camera && !camera.muted ? this.#call.differing.has(camera.mediaTrack?.id ?? '') ? t('seal.differs-tile') : pauseText(camera) : '');
    tile.setSpeaking(this.#speakers.has(participant.id));
    return tile;
  }

  #self() {
    const id = this.#room.participant || 'self';
    let tile = this.#people.get('self');
    if (!tile) {
      tile = new Tile({ id, kind: 'person', self: true });
      this.#people.set('self', tile);
      moveByHand(tile.element, this.element, this.#view);
      tile.element.append(this.#turnCamera);
      tile.setNetwork(this.#ownNetwork);
    }
    tile.element.dataset.id = id;
    this.#turnCamera.hidden = !this.#media.camera || this.#media.devices.cameras.length < 2;
    tile.describe({ name: this.#name, label: t('person.you', { name: this.#name }), muted: !this.#media.microphone || !this.#media.microphoneOn,
      hand: (this.#room.roster.participants.get(id)?.hand ?? 0) > 0, picture: this.#avatars.of(id) });
    tile.show(this.#media.camera);
    tile.setSpeaking(this.#speakers.has(id));
    return tile;
  }

  /** @param {import('/sdk/parley.js').RemoteTrack[]} screens */
  #reconcileScreens(screens) {
    for (const track of screens) {
      let tile = this.#screens.get(track.id);
      if (!tile) {
        tile = new Tile({ id: track.id, kind: 'screen', firstFrame: this.#firstFrame, keepVideo: (on) => this.#room.keepVideo(track.id, on) });
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

  /** Unsubscribe participants without a tile, and drop the tiles of those who left. @param {string[]} ids */
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

/** The quality of a network, by the server's rating of the connection. @type {Record<string, string>} */
const NETWORKS = { good: 'fair', poor: 'poor', lost: 'poor' };

/** @param {import('/sdk/parley.js').RemoteTrack} track */
function pauseText(track) {
  if (!track.paused) return '';
  return t(PAUSED.has(track.pausedReason) ? `tile.paused-${track.pausedReason}` : 'tile.paused');
}
