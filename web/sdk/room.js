/**
 * A room as one participant sees it: join, publish, subscribe, chat, captions, reconnection.
 *
 * The room keeps the state, delegates messages to Signaling and media to its two peers, and emits an event for each
 * change. The `detail` is given in parentheses:
 *
 * - `connection` (ConnectionState): the state of the connection changed
 * - `participant-joined`, `participant-updated`, `participant-left` (Participant, with a `reason` when it left)
 * - `track-published`, `track-changed`, `track-unpublished` (RemoteTrack); `track-media` (RemoteTrack) when `mediaTrack` changed
 * - `local-changed` (Published or null): a source of ours was published, muted, unmuted or removed
 * - `moving` ({meeting, title}): we are assigned to another room of the meeting, and this Room joins it automatically
 * - `closing` ({at}): this breakout room closes at `at` (Unix ms, null: it stays open); `announcement` ({id, name, text, at})
 * - `uplink` (Uplink): the measures for a narrow uplink changed
 * - `speakers` ({participant, level}[]), `chat` (a message), `caption` (a caption), `captions-state`, `recording`, `grants`
 * - `reaction` ({emoji, participant}); `message-reaction` ({message, participant, emoji, on}) to a chat message
 * - `shared` (SharedView): the spotlight, the timer, or a poll or question changed
 * - `data` (DataReceived): a message over a data channel
 * - `problem` ({code, detail}): the server refused a request, but the connection continues
 *
 * @typedef {import('./roster.js').Participant} Participant
 * @typedef {import('./roster.js').RemoteTrack} RemoteTrack
 * @typedef {import('./publish-peer.js').Source} Source
 * @typedef {import('./publish-peer.js').Published} Published
 * @typedef {import('./connection-state.js').ConnectionState} ConnectionState
 * @typedef {import('./grants.js').Grants} Grants
 */
import { describeConnection } from './connection-state.js';
import { Emitter } from './emitter.js';
import { grantsOf } from './grants.js';
import { Handover } from './handover.js';
import { PeerKeeper } from './peer-keeper.js';
import { PublishPeer } from './publish-peer.js';
import { Roster } from './roster.js';
import { Signaling } from './signaling.js';
import { Slots } from './slots.js';
import { SubscribePeer } from './subscribe-peer.js';
import { Viewing } from './viewing.js';

export class Room extends Emitter {
  /** @type {Roster} */
  roster = new Roster();
  /** Our participant id, '' before joining. */
  participant = '';
  /** @type {Grants} */
  grants = grantsOf({});
  /**
   * @typedef {{active: boolean, recording?: string, started_at?: number, text?: string, consent?: string, stalled?: string,
   *   stalled_code?: string, broadcast_since?: number}} Recording
   * `stalled`: the reason while nothing is stored, with a stable code; `consent`: the meeting's policy; `broadcast_since`: the room
   * goes out live (Unix ms)
   */
  /** @type {Recording} */
  recording = { active: false };
  /** Data that an application keeps with the room. */
  metadata = '';
  /** @type {{available: boolean, reason?: string, code?: string}} `reason`: a sentence, `code`: stable */
  captions = { available: false };
  /**
   * @typedef {{spotlight?: string, timer_ends_at?: number, activities?: number}} SharedView
   * State that is the same for everybody: the participant in the spotlight, when a timer ends (Unix ms), and a count of
   * changes to polls and questions
   */
  /** @type {SharedView} */
  shared = {};
  /** When this breakout room closes (Unix ms), 0 while it has no end. */
  closesAt = 0;
  /** Zero of the meeting clock that captions use (Unix ms). */
  openedAt = 0;
  /** How much this device's clock is ahead of the server's (ms). */
  #ahead = 0;
  /** @type {ConnectionState} */
  connection = { state: 'idle' };

  #admit;
  #signaling;
  #publish;
  #subscribe;
  #keeper;
  #slots = new Slots();
  #viewing = new Viewing(() => this.#signaling.joined, (tracks) => this.#signaling.send({ kind: 'subscribe', tracks }));
  /** The user's answers, by the version of the consent text. @type {Map<string, object>} */
  #consents = new Map();
  #handover = new Handover(this.roster, (left) => this.#handedOver(left));
  #moves = false;
  /** @type {any} */
  #signalingState = { state: 'idle' };

  /**
   * @param {object} options
   * @param {(again: boolean) => Promise<{url: string, token: string, iceServers?: RTCIceServer[]}>} options.admit
   *   obtains a join token; see admission.js
   * @param {boolean} [options.simulcast] three layers for the camera; true by default
   * @param {string} [options.codec] preferred video codec; VP8 by default
   * @param {import('./encryption.js').Encryption} [options.encryption] for end-to-end encrypted meetings; VP8 only
   * @param {object} [options.signaling] further options of Signaling: `door` from a meeting's summary, and others for tests
   */
  constructor({ admit, simulcast = true, codec = 'VP8', encryption, signaling = {} }) {
    super();
    this.#admit = admit;
    /** @param {import('./signaling.js').Message} message */
    const send = (message) => this.#signaling.send(message);
    this.#publish = new PublishPeer({ send, simulcast, codec: encryption ? 'VP8' : codec, encryption });
    this.#subscribe = new SubscribePeer({ send, encryption });
    this.#signaling = new Signaling({ admit: (again) => this.#admitted(again), ...signaling });
    this.#keeper = new PeerKeeper(
      this.#publish, this.#subscribe, () => this.#signaling.joined, () => this.#signaling.answered, () => this.#updateConnection(),
    );
    this.#listen();
  }

  /** The transport of signaling: `websocket` or `webtransport`, '' without a connection. */
  get carrier() { return this.#signaling.carrier; }

  /** Round-trip time of signaling in ms, or null. */
  get roundTrip() { return this.#signaling.roundTrip; }

  /** The RTCPeerConnections, for statistics. @returns {{publish: RTCPeerConnection|null, subscribe: RTCPeerConnection|null}} */
  get peers() {
    return { publish: this.#publish.connection, subscribe: this.#subscribe.connection };
  }

  /** Our published sources. @returns {Published[]} */
  get published() {
    return this.#publish.published;
  }

  /** The measures in force while the uplink is narrow. */
  get uplink() {
    return this.#publish.uplink;
  }

  /** @param {Source} source @returns {Published|null} */
  local(source) {
    return this.#publish.get(source);
  }

  /**
   * Join. The first offer contains what was given to `publish` before or while joining.
   * @param {() => Promise<unknown>} [publishFirst] publishes, while the server is asked already
   * @returns {Promise<void>} resolves with the first room-info; rejects with SignalingError or RestError
   */
  async join(publishFirst = async () => undefined) {
    this.#viewing.open();
    const joined = this.#signaling.start();
    const prepared = publishFirst().then(() => {
      this.#subscribe.prepare();
      return this.#publish.prepare();
    });
    await Promise.all([joined, prepared]);
  }

  /** Leave for good, and close our peers. The caller releases the devices. */
  leave() {
    this.#signaling.leave();
  }

  /** Try to reconnect now rather than at `connection.retryAt`. */
  retryNow() {
    this.#signaling.retryNow();
  }

  /**
   * Publish a source, or replace its media.
   * @param {Source} source @param {MediaStreamTrack} mediaTrack
   * @param {{muted?: boolean, codec?: string, scalabilityMode?: string}} [options] of video: `codec` (VP8, VP9, H264,
   *   AV1), and `scalabilityMode` for one stream of several layers instead of simulcast
   * @returns {Promise<Published>}
   */
  async publish(source, mediaTrack, options = {}) {
    if (this.participant && !this.grants.publish.includes(source)) throw new Error(`You are not allowed to publish: ${source}.`);
    const known = this.#publish.get(source);
    const published = await this.#publish.add(source, mediaTrack, options);
    const { muted = false } = options;
    if (known === published) await this.setMuted(source, muted, mediaTrack);
    else if (this.#signaling.joined) await this.#publish.offer();
    this.emit('local-changed', published);
    return published;
  }

  /** @param {Source} source */
  async unpublish(source) {
    if (!this.#publish.get(source)) return;
    await this.#publish.remove(source);
    if (this.#signaling.joined) await this.#publish.offer();
    this.emit('local-changed', null);
  }

  /**
   * Mute or unmute a source. Sound is silenced at once. Pass `mediaTrack` null to release the device while muted.
   * @param {Source} source @param {boolean} muted
   * @param {MediaStreamTrack|null} [mediaTrack] the new media; unchanged if omitted
   */
  async setMuted(source, muted, mediaTrack) {
    const published = this.#publish.get(source);
    if (!published) return;
    published.muted = muted;
    if (mediaTrack !== undefined) await this.#publish.replaceMedia(source, mediaTrack);
    if (published.mediaTrack) published.mediaTrack.enabled = !muted;
    this.#tellMuted(published);
    this.emit('local-changed', published);
  }

  /**
   * Tell the server how a track is shown: whether it is `on`, and its size in device pixels.
   * @param {string} track @param {{on?: boolean, width?: number, height?: number}} wish
   */
  subscribe(track, wish) {
    this.#viewing.set(track, wish);
  }

  /**
   * Request a track at the size of the element that shows it, and follow that size until `unwatch`.
   * @param {Element} element @param {string} track
   */
  watch(element, track) {
    this.#viewing.watch(element, track);
  }

  /** @param {Element} element */
  unwatch(element) {
    this.#viewing.unwatch(element);
  }

  /**
   * Keep video on while the page is hidden, because a separate window shows it. @param {string} place a name for that
   * window @param {boolean} on
   */
  keepVideo(place, on) {
    this.#viewing.keep(place, on);
  }

  /**
   * Send data to all, or to the participants in `to`: in order and retransmitted (`reliable`, the default), or only once.
   * @param {Uint8Array|string} payload text is sent as UTF-8; at most 64 KiB, with topic and receivers
   * @param {{reliable?: boolean, to?: string[], topic?: string}} [options]
   * @returns {Promise<boolean>} false if a message that is not reliable was dropped here
   */
  async publishData(payload, options = {}) {
    if (this.participant && !this.grants.data) throw new Error('You are not allowed to send data.');
    return this.#subscribe.data.send(payload, options);
  }

  /** Probe the server. @param {number} ms to wait @returns {Promise<boolean>} true if it sent anything meanwhile */
  answers(ms) {
    return this.#signaling.answers(ms);
  }

  /**
   * @param {string} text @param {string} [to] a participant; everybody if omitted
   * @param {{replyTo?: string, file?: string}} [about] the id of the message that this replies to; of an uploaded file
   */
  chat(text, to, { replyTo, file } = {}) {
    return this.#signaling.send({ kind: 'chat', text, ...(to ? { to } : {}), ...(replyTo ? { reply_to: replyTo } : {}), ...(file ? { file } : {}) });
  }

  /** Raise or lower our hand; hosts can lower others' hands. @param {boolean} raised @param {string} [participant] */
  raiseHand(raised, participant) {
    return this.#signaling.send(participant ? { kind: 'hand', raised, participant } : { kind: 'hand', raised });
  }

  /**
   * Show an emoji to everybody for a moment, or put it on a chat message; an event confirms it.
   * @param {string} emoji @param {{message?: string, on?: boolean, to?: string|null}} [where] `on` false takes it off the
   * message again; `to` is the other person of a private message
   */
  react(emoji, { message, on = true, to } = {}) {
    return this.#signaling.send({ kind: 'reaction', emoji, ...(message ? { message, on } : {}), ...(message && to ? { to } : {}) });
  }

  /**
   * Answer requests for consent; omitted answers are unchanged. The room repeats the answers after a rejoin.
   * @param {{text: string, recording?: boolean, captions?: boolean, analysis?: boolean}} consent `text`: version shown
   */
  setConsent(consent) {
    this.#consents.set(consent.text, { ...this.#consents.get(consent.text), ...consent });
    this.#signaling.send({ kind: 'consent', ...consent });
  }

  /** @param {boolean} again */
  async #admitted(again) {
    const admission = await this.#admit(again);
    const servers = admission.iceServers ?? [];
    if (servers.length > 0) {
      this.#publish.setIceServers(servers);
      this.#subscribe.setIceServers(servers);
    }
    return admission;
  }

  #listen() {
    this.#signaling.addEventListener('message', ({ detail }) => this.#handlers[detail.kind]?.(detail));
    this.#signaling.addEventListener('state', ({ detail }) => this.#signalingChanged(detail));
    this.#subscribe.addEventListener('media', ({ detail }) => this.#applyMedia(this.#slots.attach(detail.mid, detail.mediaTrack)));
    this.#subscribe.addEventListener('gone', () => this.#applyMedia(this.#slots.detachAll()));
    this.#subscribe.data.addEventListener('data', ({ detail }) => this.emit('data', detail));
    this.#publish.addEventListener('uplink', () => this.#uplinkChanged());
    this.#publish.addEventListener('published', ({ detail }) => this.emit('local-changed', detail));
    for (const peer of [this.#publish, this.#subscribe]) {
      peer.addEventListener('state', () => this.#updateConnection());
      peer.addEventListener('failed', ({ detail }) => this.emit('problem', { code: 'negotiation_failed', detail: detail.message }));
    }
  }

  /** @type {Record<string, (message: any) => void>} */
  #handlers = {
    'room-info': (message) => this.#welcome(message),
    offer: (message) => void this.#subscribe.accept(message),
    answer: (message) => void this.#publish.accept(message),
    backup: (message) => void this.#publish.setBackup(message),
    layers: ({ track, active }) => void this.#publish.setLayers(track, active),
    slots: (message) => this.#applyMedia(this.#slots.assign(message.slots)),
    'user-joined': ({ participant }) => this.#participantJoined(participant),
    'user-updated': ({ participant }) => this.emit('participant-updated', this.roster.setParticipant(participant)),
    'user-left': (message) => this.#participantLeft(message),
    'track-published': ({ track }) => this.#trackPublished(this.roster.setTrack(track)),
    'track-unpublished': ({ track }) => this.#trackUnpublished(track),
    'track-muted': (message) => this.#trackMuted(message),
    'track-state': (message) => this.#trackChanged(this.roster.pauseTrack(message)),
    grants: ({ grants }) => this.#grantsChanged(grants),
    speakers: ({ speakers }) => this.emit('speakers', speakers),
    recording: ({ state }) => this.emit('recording', (this.recording = state)),
    captions: ({ state }) => this.emit('captions-state', (this.captions = state)),
    caption: (message) => this.emit('caption', message),
    move: (message) => this.#reassigned(message),
    closing: ({ at }) => {
      this.closesAt = at ?? 0;
      this.emit('closing', { at: at ?? null });
    },
    'room-described': ({ metadata }) => this.emit('room-described', (this.metadata = metadata)),
    shared: ({ state }) => this.#share(state),
    announcement: (message) => this.emit('announcement', message),
    chat: (message) => this.emit('chat', message),
    reaction: ({ emoji, participant, message, on = true }) => (
      message ? this.emit('message-reaction', { message, participant, emoji, on }) : this.emit('reaction', { emoji, participant })
    ),
    error: (message) => this.#refused(message),
  };

  /** @param {Published} published */
  #tellMuted(published) {
    if (!published.track) return;
    const muted = this.#publish.isMuted(published);
    const tooSlow = muted && !published.muted; // the uplink carries hardly more than sound
    this.#signaling.send({ kind: 'media-control', track: published.track, muted, ...(tooSlow ? { too_slow: true } : {}) });
  }

  /** The server's time (Unix ms), which `openedAt`, `closesAt` and `shared.timer_ends_at` refer to: a device's clock can be wrong. */
  now() {
    return Date.now() - this.#ahead;
  }

  #uplinkChanged() {
    const camera = this.#publish.get('camera');
    if (camera) this.#tellMuted(camera);
    this.emit('uplink', this.uplink);
  }

  /** @param {any} info a `room-info` */
  #welcome(info) {
    const again = this.participant !== '';
    this.participant = info.participant;
    this.openedAt = info.opened_at;
    this.#ahead = Date.now() - info.now;
    this.grants = grantsOf(info.grants);
    this.recording = info.recording;
    this.captions = info.captions;
    this.metadata = info.metadata ?? '';
    this.#handover.end();
    const moves = this.#moves && again && !info.resumed && this.#subscribe.keepPrevious();
    this.#moves = false;
    const change = this.roster.replace(info.participants, info.tracks);
    if (moves) {
      this.#slots = new Slots(); // the previous node's: the next one uses the same mids
      this.#handover.begin({ left: change.left, removed: change.removed.filter((track) => track.participant !== info.participant) });
      change.left = [];
      change.removed = change.removed.filter((track) => track.participant === info.participant);
    }
    for (const track of change.removed) this.#forget(track);
    for (const participant of change.left) this.emit('participant-left', { ...participant, reason: 'timeout' });
    for (const participant of change.joined) this.emit('participant-joined', participant);
    for (const track of change.added) this.#trackPublished(track);
    if (again) {
      for (const participant of this.roster.participants.values()) this.emit('participant-updated', participant);
      for (const track of this.roster.tracks.values()) this.emit('track-changed', track);
    }
    this.emit('grants', this.grants);
    this.emit('recording', this.recording);
    this.emit('captions-state', this.captions);
    this.#share(info.shared);
    void this.#negotiate(info.resumed ?? false, again, moves);
  }

  /** @param {SharedView} [state] */
  #share(state = {}) {
    this.shared = state;
    this.emit('shared', state);
  }

  /** @param {any} message */
  #reassigned(message) {
    this.closesAt = 0;
    this.emit('closing', { at: null });
    this.emit('moving', message);
  }

  /**
   * Offer what we publish: the prepared offer at first, after a resume only what the server may have missed, otherwise anew.
   * @param {boolean} resumed @param {boolean} again @param {boolean} moves
   */
  async #negotiate(resumed, again, moves) {
    for (const { source } of this.#publish.published) {
      if (!this.grants.publish.includes(source)) await this.#publish.remove(source);
    }
    if (resumed) {
      this.#publish.repeat();
      for (const published of this.#publish.published) this.#tellMuted(published);
      this.#keeper.check();
    } else {
      this.#keeper.renewed();
      this.#viewing.restart();
      for (const consent of this.#consents.values()) this.#signaling.send({ kind: 'consent', ...consent });
      await (again ? this.#publish.restart(moves) : this.#publish.offer());
    }
    this.#viewing.flush();
  }

  /** @param {any} info */
  #participantJoined(info) {
    const awaited = this.#handover.joined(info.participant);
    this.emit(awaited ? 'participant-updated' : 'participant-joined', this.roster.setParticipant(info));
  }

  /** @param {{participant: string, reason: string}} message */
  #participantLeft({ participant, reason }) {
    const known = this.roster.participants.get(participant);
    if (!known) return;
    for (const track of this.roster.tracksOf(participant)) this.#trackUnpublished(track.id);
    this.roster.participants.delete(participant);
    this.emit('participant-left', { ...known, reason });
  }

  /** @param {RemoteTrack} track */
  #trackPublished(track) {
    if (track.participant === this.participant) return;
    this.#viewing.add(track.id, track.media);
    track.mediaTrack = this.#slots.mediaOf(track.id);
    const previous = this.#handover.successor(track);
    if (previous) {
      track.mediaTrack ??= previous.mediaTrack;
      this.#viewing.remove(previous.id);
      this.emit('track-unpublished', previous);
    }
    this.emit('track-published', track);
    if (track.mediaTrack) this.emit('track-media', track);
  }

  /** @param {string} id */
  #trackUnpublished(id) {
    const track = this.roster.tracks.get(id);
    if (!track) return;
    this.roster.tracks.delete(id);
    this.#forget(track);
  }

  /** @param {RemoteTrack} track */
  #forget(track) {
    this.#handover.arrived(track.id);
    this.#viewing.remove(track.id);
    track.mediaTrack = null;
    this.emit('track-unpublished', track);
  }

  /** @param {any} message */
  #trackMuted(message) {
    const own = this.#publish.published.find((published) => published.track === message.track);
    if (!own) this.#trackChanged(this.roster.muteTrack(message));
    else if (message.muted && message.by_host) this.#obey(own.source);
  }

  /** @param {RemoteTrack|null} track */
  #trackChanged(track) {
    if (track) this.emit('track-changed', track);
  }

  /** @param {any} grants as received */
  #grantsChanged(grants) {
    this.grants = grantsOf(grants);
    for (const { source, muted } of this.#publish.published) {
      if (!this.grants.publish.includes(source)) void this.unpublish(source);
      else if (this.grants.muted.includes(source) && !muted) this.#obey(source);
    }
    this.emit('grants', this.grants);
  }

  /**
   * Mute a source that a host muted. Shared sound has no button to unmute it: the server blocks it until a host releases it.
   * @param {Source} source
   */
  #obey(source) {
    if (source !== 'screen-audio') void this.setMuted(source, true);
  }

  /** @param {any} message */
  #refused(message) {
    // `connection` reports fatal errors, which close the connection.
    if (message.fatal) return;
    if (message.code.startsWith('offer') || message.code.startsWith('publish')) void this.#publish.refuse(message.detail);
    this.emit('problem', { code: message.code, detail: message.detail });
  }

  /** @param {Map<string, MediaStreamTrack|null>} changed */
  #applyMedia(changed) {
    for (const [id, mediaTrack] of changed) {
      const track = this.roster.tracks.get(id);
      if (!track) continue;
      if (this.#handover.borrows(id) && mediaTrack?.muted !== false) {
        // Media from the next node has not arrived yet.
        mediaTrack?.addEventListener('unmute', () => this.#applyMedia(new Map([[id, this.#slots.mediaOf(id)]])), { once: true });
        continue;
      }
      track.mediaTrack = mediaTrack;
      this.emit('track-media', track);
      this.#handover.arrived(id);
    }
  }

  /** @param {{people: string[], tracks: RemoteTrack[], borrowing: string[]}} left */
  #handedOver({ people, tracks, borrowing }) {
    this.#subscribe.dropPrevious();
    for (const id of borrowing) this.#applyMedia(new Map([[id, this.#slots.mediaOf(id)]]));
    for (const { id } of tracks) this.#trackUnpublished(id);
    for (const participant of people) this.#participantLeft({ participant, reason: 'timeout' });
  }

  /** @param {import('./signaling.js').SignalingState} state */
  #signalingChanged(state) {
    this.#signalingState = state;
    if (state.state === 'waiting') {
      this.#moves = state.code === 'moved';
      this.#keeper.doubt();
    }
    if (state.state === 'closed') this.#close();
    this.#updateConnection();
  }

  #updateConnection() {
    const next = describeConnection(this.#signalingState, this.participant !== '', this.#moves, () => this.#keeper.mediaState());
    const before = this.connection;
    if (next.state === before.state && next.retryAt === before.retryAt && next.code === before.code) return;
    this.connection = next;
    if (next.state === 'media-lost') this.#signaling.probe();
    this.emit('connection', next);
  }

  #close() {
    this.#handover.end();
    this.#viewing.close();
    this.#keeper.close();
    this.#publish.close();
    this.#subscribe.close();
  }
}
