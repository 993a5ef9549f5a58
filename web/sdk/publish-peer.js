/**
 * The publish peer: one RTCPeerConnection that only sends; the client offers.
 *
 * A transceiver belongs to a source and codec for the life of the peer, and is reused when they are published again. None
 * is stopped: when the last one stops, Chromium closes the transport. One offer is in flight at a time; changes made
 * meanwhile go into the next. A failed peer is replaced with a new one with the same media; `restart` announces it. If
 * somebody cannot decode a track, the server asks for a backup: the same media in another codec, on a separate
 * transceiver.
 *
 * @typedef {'microphone'|'camera'|'screen'|'screen-audio'} Source
 * @typedef {{source: Source, media: 'audio'|'video', mediaTrack: MediaStreamTrack|null, muted: boolean,
 *   track: string|null, codec: string, scalabilityMode: string}} Published `track` is the server's id, null until
 *   answered; `mediaTrack` is null while a muted camera's device is off
 * @typedef {{source: Source, codec: string, of: string, track: string|null, transceiver: RTCRtpTransceiver}} Backup
 *
 * Events: `published` (detail: Published), `uplink` (detail: Uplink), `state` (detail: RTCPeerConnectionState), `failed` (detail: Error).
 */
import { withAudioNack } from './audio-repair.js';
import { Emitter } from './emitter.js';
import { THIN_SOUND_RATE, contentHintFor, degradationFor, encodingsFor, isMusic, preferCodec } from './encodings.js';
import { SendingLayers, sizeOf } from './sending-layers.js';
import { Serial } from './serial.js';
import { withStereo } from './stereo.js';
import { CarriedRate, Uplink, outgoing } from './uplink.js';

/** The interval for checking a video's size: no event reports a change. */
const SIZE_MS = 1_000;
/** The time for which the previous node still gets our media once the next one has it: others may move later than we do. */
const OVERLAP_MS = 4_000;
/** The limit of that time if the next node cannot be reached. */
const LONGEST_OVERLAP_MS = 10_000;
/** The order of m-sections in the first offer: sound first, since it matters most. */
const ORDER = ['microphone', 'camera', 'screen', 'screen-audio'];

export class PublishPeer extends Emitter {
  #send;
  #simulcast;
  #encryption;
  #codec;
  /** @type {RTCIceServer[]} */
  #iceServers = [];
  /** @type {RTCPeerConnection|null} */
  #pc = null;
  /** The peer to the previous node, while the room moves. @type {RTCPeerConnection|null} */
  #previous = null;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #overlap;
  /** @type {Map<Source, Published>} */
  #published = new Map();
  /** @type {Map<Source, RTCRtpTransceiver>} */
  #transceivers = new Map();
  /** All transceivers of the peer, by their purpose. @type {Map<string, RTCRtpTransceiver>} */
  #made = new Map();
  /** @type {Map<Source, Backup>} */
  #backups = new Map();
  /** The layers of each video sender. @type {Map<RTCRtpSender, SendingLayers>} */
  #layers = new Map();
  /** @type {ReturnType<typeof setInterval>|undefined} */
  #watching;
  #uplink = new Uplink();
  #carried = new CarriedRate();
  #serial = new Serial();
  /** A receiver plays the sound and video of one stream in sync. */
  #personStream = new MediaStream();
  #screenStream = new MediaStream();
  /** Whether the sender of the microphone is set up for music. */
  #sentMusic = false;
  #awaiting = false;
  #dirty = false;
  #fresh = false;
  #offerId = 0;
  /** @type {RTCSessionDescriptionInit|null} */
  #prepared = null;

  /**
   * @param {object} options
   * @param {(message: import('./signaling.js').Message) => boolean} options.send passes a message to signaling; false if it could not
   * @param {boolean} options.simulcast
   * @param {string} options.codec preferred video codec
   * @param {import('./encryption.js').Encryption} [options.encryption]
   */
  constructor({ send, simulcast, codec, encryption }) {
    super();
    this.#encryption = encryption;
    this.#send = send;
    this.#simulcast = simulcast;
    this.#codec = codec;
  }

  /** The RTCPeerConnection, or null if nothing has been published yet. */
  get connection() {
    return this.#pc;
  }

  /** @returns {Published[]} */
  get published() {
    return [...this.#published.values()];
  }

  /** The measures in force while the uplink is narrow. */
  get uplink() {
    return this.#uplink;
  }

  /** Return whether to announce a source as muted: its owner muted it, or the camera is paused. @param {Published} published */
  isMuted({ source, muted }) {
    return muted || (source === 'camera' && this.#uplink.cameraRests);
  }

  /** @param {Source} source @returns {Published|null} */
  get(source) {
    return this.#published.get(source) ?? null;
  }

  /** @param {RTCIceServer[]} servers */
  setIceServers(servers) {
    this.#iceServers = servers;
    this.#pc?.setConfiguration({ ...this.#pc.getConfiguration(), iceServers: servers });
  }

  /**
   * Add a source, or replace its media. The room calls `offer` afterwards, once it has joined. A change of codec makes a
   * new track.
   * @param {Source} source
   * @param {MediaStreamTrack} mediaTrack
   * @param {{muted?: boolean, codec?: string, scalabilityMode?: string}} [options]
   * @returns {Promise<Published>}
   */
  async add(source, mediaTrack, { muted = false, codec = this.#codec, scalabilityMode = '' } = {}) {
    const known = this.#published.get(source);
    if (known && (known.codec !== codec || known.scalabilityMode !== scalabilityMode)) {
      await this.remove(source);
    } else if (known) {
      known.muted = muted;
      await this.replaceMedia(source, mediaTrack);
      return known;
    }
    const published = { source, media: kindOf(source), mediaTrack, muted, track: null, codec, scalabilityMode };
    this.#published.set(source, published);
    this.#prepared = null;
    await this.#place(published);
    return published;
  }

  /**
   * Replace a source's media (another device, or none while a camera is off). Only a change between speech and music
   * needs negotiation.
   * @param {Source} source @param {MediaStreamTrack|null} mediaTrack
   */
  async replaceMedia(source, mediaTrack) {
    const published = this.#published.get(source);
    if (!published) return;
    published.mediaTrack = mediaTrack;
    if (mediaTrack) mediaTrack.contentHint = contentHintFor(source, mediaTrack);
    await this.#transceivers.get(source)?.sender.replaceTrack(mediaTrack);
    await this.#backups.get(source)?.transceiver.sender.replaceTrack(mediaTrack);
    await this.#fit();
    const microphone = this.#transceivers.get('microphone');
    if (!mediaTrack || !microphone || source !== 'microphone' || this.#sendsMusic === this.#sentMusic) return;
    this.#prefer(microphone, source, published.codec, this.#sendsMusic);
    if (this.#pc?.remoteDescription) void this.offer();
  }

  /** @param {Source} source */
  async remove(source) {
    const published = this.#published.get(source);
    if (!published) return;
    this.#published.delete(source);
    await idle(this.#transceivers.get(source));
    this.#transceivers.delete(source);
    if (published.track) this.#send({ kind: 'unpublish', track: published.track });
    await this.#stopBackup(source);
  }

  /**
   * Send a track in another codec as well, or stop doing so.
   * @param {{track: string, codec: string, wanted: boolean}} backup
   */
  setBackup({ track, codec, wanted }) {
    // In turn, because the answer that names the track may not be applied yet.
    return this.#serial.run(async () => {
      const published = this.published.find((candidate) => candidate.track === track);
      if (!published || (wanted && this.#backups.get(published.source)?.of === track)) return;
      const { source, mediaTrack } = published;
      await this.#stopBackup(source);
      if (wanted) {
        const transceiver = await this.#transceiverFor(source, mediaTrack, codec, '');
        this.#backups.set(source, { source, codec, of: track, track: null, transceiver });
      }
      void this.offer();
    }).catch((error) => this.#fail(error));
  }

  /** @param {Source} source */
  async #stopBackup(source) {
    const backup = this.#backups.get(source);
    if (!backup) return;
    this.#backups.delete(source);
    await idle(backup.transceiver);
    if (backup.track) this.#send({ kind: 'unpublish', track: backup.track });
  }

  /** Create the peer and the offer before the response to `join` arrives, to save time. */
  async prepare() {
    if (this.#published.size === 0) return;
    await this.#serial.run(async () => {
      const pc = this.#open();
      if (pc.signalingState === 'stable') this.#prepared = await createOffer(pc);
    });
  }

  /** Send an offer now, or after the pending answer. */
  offer() {
    if (this.#published.size === 0 && !this.#pc) return Promise.resolve();
    if (this.#awaiting) {
      this.#dirty = true;
      return Promise.resolve();
    }
    this.#awaiting = true;
    /** @type {RTCPeerConnection|undefined} */
    let pc;
    return this.#serial.run(async () => {
      pc = this.#open();
      const description = this.#prepared ?? (await createOffer(pc));
      this.#prepared = null;
      await pc.setLocalDescription(description);
      if (pc !== this.#pc) return; // replaced meanwhile by a peer that makes its own offer
      this.#offerId += 1;
      this.#sendOffer();
      this.emit('state', pc.connectionState); // if it stays `new`, nothing else says so
    }).catch((error) => {
      if (pc && pc !== this.#pc) return;
      this.#awaiting = false;
      this.#fail(error);
    });
  }

  /** Send the pending offer again after signaling was resumed, because its answer may have been lost. */
  repeat() {
    if (this.#awaiting && this.#pc?.signalingState === 'have-local-offer') this.#sendOffer();
  }

  /**
   * Replace the RTCPeerConnection with a new one with the same media, and offer it.
   * @param {boolean} [moves] the room moves to another node: the previous one gets our media until the next one has it
   */
  async restart(moves = false) {
    if (moves && this.#pc?.connectionState === 'connected') this.#keepPrevious(this.#pc);
    this.#discard();
    this.#fresh = true;
    for (const source of ORDER) {
      const published = this.#published.get(/** @type {Source} */ (source));
      if (!published) continue;
      published.track = null;
      await this.#place(published);
    }
    if (this.#published.size > 0) await this.offer();
  }

  /** @param {{sdp: string, id?: number, tracks?: {mid: string, track: string}[]}} answer */
  accept(answer) {
    // The answer to a previous peer's offer does not fit this peer.
    if (answer.id !== undefined && answer.id !== this.#offerId) return Promise.resolve();
    return this.#serial.run(async () => {
      const pc = this.#pc;
      if (pc?.signalingState !== 'have-local-offer') return;
      await pc.setRemoteDescription({ type: 'answer', sdp: withStereo(answer.sdp, (mid) => this.#isMusic(mid)) });
      this.#fresh = false;
      if (this.#sendsMusic !== this.#sentMusic) await this.#fitSound();
      for (const { mid, track } of answer.tracks ?? []) this.#number(mid, track);
    }).catch((error) => this.#fail(error)).then(() => this.#settled());
  }

  /** Roll back the offer in flight, which the server refused. @param {string} detail */
  refuse(detail) {
    if (!this.#awaiting) return Promise.resolve();
    return this.#serial.run(async () => {
      if (this.#pc?.signalingState === 'have-local-offer') await this.#pc.setLocalDescription({ type: 'rollback' });
      this.#fail(new Error(detail));
    }).then(() => this.#settled());
  }

  /**
   * Send only layers that somebody watches.
   * @param {string} track @param {string[]} rids of the simulcast layers; '' for the only stream of a track without simulcast
   */
  setLayers(track, rids) {
    return this.#serial.run(async () => {
      const published = this.published.find((candidate) => candidate.track === track);
      const backup = [...this.#backups.values()].find((candidate) => candidate.track === track);
      const sender = (published ? this.#transceivers.get(published.source) : backup?.transceiver)?.sender;
      if (!sender) return;
      await this.#layers.get(sender)?.want(rids);
    }).catch((error) => this.#fail(error));
  }

  close() {
    this.#dropPrevious();
    this.#discard();
    this.#published.clear();
  }

  /** @param {RTCPeerConnection} pc */
  #keepPrevious(pc) {
    this.#dropPrevious();
    this.#previous = pc;
    this.#pc = null;
    this.#dropPreviousIn(LONGEST_OVERLAP_MS);
  }

  /** @param {number} ms */
  #dropPreviousIn(ms) {
    clearTimeout(this.#overlap);
    this.#overlap = setTimeout(() => this.#dropPrevious(), ms);
  }

  #dropPrevious() {
    clearTimeout(this.#overlap);
    this.#previous?.close();
    this.#previous = null;
  }

  #settled() {
    this.#awaiting = false;
    if (!this.#dirty) return Promise.resolve();
    this.#dirty = false;
    return this.offer();
  }

  #sendOffer() {
    const tracks = [];
    for (const [source, transceiver] of this.#transceivers) {
      const published = this.#published.get(source);
      if (!published || transceiver.mid === null) continue;
      const video = { codec: published.codec, scalability: scalabilityOf(transceiver.sender) };
      const isVideo = published.media === 'video';
      const continuous = source === 'microphone' && isMusic(source, published.mediaTrack); // speech may pause in silence
      tracks.push({ mid: transceiver.mid, source, muted: this.isMuted(published), ...(isVideo ? video : {}), ...(continuous ? { continuous } : {}) });
    }
    for (const { source, codec, of, transceiver } of this.#backups.values()) {
      if (transceiver.mid !== null) tracks.push({ mid: transceiver.mid, source, codec, backup_of: of });
    }
    const sdp = this.#pc?.localDescription?.sdp ?? '';
    this.#send({ kind: 'offer', peer: 'publish', id: this.#offerId, sdp, tracks, restart: this.#fresh });
  }

  /** @param {string} mid @param {string} track */
  #number(mid, track) {
    for (const [source, transceiver] of this.#transceivers) {
      const published = this.#published.get(source);
      if (transceiver.mid !== mid || !published || published.track === track) continue;
      published.track = track;
      this.emit('published', published);
    }
    for (const backup of this.#backups.values()) {
      if (backup.transceiver.mid === mid) backup.track = track;
    }
  }

  /** @param {Published} published */
  async #place({ source, mediaTrack, codec, scalabilityMode }) {
    this.#open();
    if (mediaTrack) mediaTrack.contentHint = contentHintFor(source, mediaTrack);
    this.#transceivers.set(source, await this.#transceiverFor(source, mediaTrack, codec, scalabilityMode));
  }

  /** @param {Source} source @param {MediaStreamTrack|null} mediaTrack @param {string} codec @param {string} scalabilityMode */
  async #transceiverFor(source, mediaTrack, codec, scalabilityMode) {
    const purpose = `${source} ${codec} ${scalabilityMode}`;
    const made = this.#made.get(purpose);
    if (made) {
      made.direction = 'sendonly';
      await made.sender.replaceTrack(mediaTrack);
      await this.#layers.get(made.sender)?.want(null); // the layers that the server paused were another track's
      return made;
    }
    const options = { simulcast: this.#simulcast, codec, scalabilityMode };
    const transceiver = this.#open().addTransceiver(mediaTrack ?? kindOf(source), {
      direction: 'sendonly',
      streams: [source.startsWith('screen') ? this.#screenStream : this.#personStream],
      sendEncodings: encodingsFor(source, { ...options, ...sizeOf(mediaTrack), isNarrow: this.#uplink.isNarrow }),
    });
    if (kindOf(source) === 'video') this.#layers.set(transceiver.sender, new SendingLayers(transceiver.sender, source, options));
    const degradationPreference = degradationFor(source, options);
    if (degradationPreference) {
      await transceiver.sender.setParameters({ ...transceiver.sender.getParameters(), degradationPreference });
    }
    this.#prefer(transceiver, source, codec, isMusic(source, mediaTrack));
    this.#encryption?.encrypt(transceiver.sender, kindOf(source));
    this.#made.set(purpose, transceiver);
    return transceiver;
  }

  /** Offer the preferred format of a source first. @param {RTCRtpTransceiver} transceiver @param {Source} source @param {string} codec @param {boolean} music */
  #prefer(transceiver, source, codec, music) {
    const preferred = preferredFormat(source, codec, Boolean(this.#encryption), music);
    const capabilities = preferred && 'setCodecPreferences' in transceiver && RTCRtpReceiver.getCapabilities?.(kindOf(source));
    if (capabilities) transceiver.setCodecPreferences(preferCodec(capabilities.codecs, preferred));
  }

  #open() {
    if (this.#pc) return this.#pc;
    const pc = new RTCPeerConnection({ iceServers: this.#iceServers, bundlePolicy: 'max-bundle' });
    pc.addEventListener('connectionstatechange', () => {
      if (pc !== this.#pc) return;
      if (this.#previous && pc.connectionState === 'connected') this.#dropPreviousIn(OVERLAP_MS);
      this.emit('state', pc.connectionState);
    });
    this.#pc = pc;
    this.#watching = setInterval(() => void this.#fit().then(() => this.#spare()), SIZE_MS);
    return pc;
  }

  /** Adapt the layers to the uplink, and to the size of each video. */
  #fit() {
    return this.#serial.run(async () => {
      for (const layers of this.#layers.values()) await layers.fit(this.#uplink.isNarrow);
    }).catch((error) => this.#fail(error));
  }

  /** Send less if the uplink is narrow, and favour sound. */
  async #spare() {
    const pc = this.#pc;
    if (!pc || pc.connectionState !== 'connected') return;
    const report = await pc.getStats();
    if (pc !== this.#pc) return;
    const now = performance.now();
    const carried = this.#carried.take(report, now);
    const { availableOutgoingBitrate: estimate, currentRoundTripTime } = outgoing(report);
    // Firefox has no estimate. It sends at least 600 kbit/s in a narrow uplink's layer, so it keeps the smaller one.
    const wanted = estimate && [...this.#layers.values()].reduce((sum, { wantedRate }) => sum + wantedRate, 0);
    if (!this.#uplink.take(estimate ?? carried, now, wanted, currentRoundTripTime)) return;
    await this.#serial.run(async () => {
      await this.#fitSound();
      const camera = this.#transceivers.get('camera');
      const backup = this.#backups.get('camera');
      for (const transceiver of [camera, backup?.transceiver]) {
        if (transceiver) await this.#layers.get(transceiver.sender)?.rest(this.#uplink.cameraRests);
      }
    }).catch((error) => this.#fail(error));
    this.emit('uplink', this.#uplink);
  }

  /** Whether the microphone sends music. */
  get #sendsMusic() {
    return isMusic('microphone', this.#published.get('microphone')?.mediaTrack ?? null);
  }

  /** @param {string} mid */
  #isMusic(mid) {
    return [...this.#transceivers].some(([source, transceiver]) => transceiver.mid === mid && isMusic(source, this.#published.get(source)?.mediaTrack ?? null));
  }

  /** Adapt the microphone's rate and format to the uplink, and to speech or music. */
  async #fitSound() {
    const microphone = this.#transceivers.get('microphone');
    if (!microphone) return;
    this.#sentMusic = this.#sendsMusic;
    await fitSound(microphone.sender, { isThin: this.#uplink.isThin, music: this.#sentMusic });
  }

  #discard() {
    this.#sentMusic = false;
    this.#uplink = new Uplink();
    this.#carried = new CarriedRate();
    clearInterval(this.#watching);
    this.#pc?.close();
    this.#pc = null;
    this.#layers.clear();
    this.#prepared = null;
    this.#transceivers.clear();
    this.#made.clear();
    this.#backups.clear();
    this.#awaiting = false;
    this.#dirty = false;
  }

  /** @param {unknown} error */
  #fail(error) {
    if (!this.#pc) return; // the peer was closed meanwhile, which caused the error
    this.emit('failed', error);
  }
}

/** @param {RTCPeerConnection} pc @returns {Promise<RTCSessionDescriptionInit>} */
async function createOffer(pc) {
  const { type, sdp } = await pc.createOffer();
  return { type, sdp: withAudioNack(sdp ?? '') };
}

/**
 * Return the preferred format of a source. Speech uses RED (RFC 2198) if the browser supports it: each packet repeats the
 * previous one, and the server fills gaps from it. It cannot read encrypted frames, and music is too large to repeat.
 * @param {Source} source @param {string} codec @param {boolean} isEncrypted @param {boolean} music @returns {string}
 */
function preferredFormat(source, codec, isEncrypted, music) {
  if (kindOf(source) === 'video') return `video/${codec}`;
  if (source !== 'microphone') return '';
  return isEncrypted || music ? 'audio/opus' : 'audio/red';
}

/**
 * Set the rate and format of a microphone. With a narrow uplink the rate is low. That and music go without RED, which doubles
 * the rate. Browsers that cannot change the codec of a sender change only its rate.
 * @param {RTCRtpSender} sender @param {{isThin: boolean, music: boolean}} needs
 */
async function fitSound(sender, { isThin, music }) {
  /** @type {RTCRtpSendParameters & {encodings: (RTCRtpEncodingParameters & {codec?: RTCRtpCodec})[]}} */
  const parameters = sender.getParameters();
  const [encoding] = parameters.encodings;
  if (!encoding) return;
  const [usual] = encodingsFor('microphone', { music });
  encoding.maxBitrate = isThin ? THIN_SOUND_RATE : usual.maxBitrate;
  await sender.setParameters(parameters);
  const named = (/** @type {string} */ mime) => parameters.codecs?.find(({ mimeType }) => mimeType.toLowerCase() === mime);
  const codec = (!isThin && named('audio/red')) || named('audio/opus');
  if (!codec || !named('audio/red') || music) return; // music goes without RED anyway
  const again = sender.getParameters();
  /** @type {RTCRtpEncodingParameters & {codec?: RTCRtpCodec}} */
  const first = again.encodings[0];
  first.codec = codec;
  await sender.setParameters(again).catch(() => undefined);
}

/** The scalability mode of a sender's highest layer, '' if the browser has none. @param {RTCRtpSender} sender */
function scalabilityOf(sender) {
  /** @type {(RTCRtpEncodingParameters & {scalabilityMode?: string})[]} */
  const encodings = sender.getParameters().encodings;
  return encodings.at(-1)?.scalabilityMode ?? '';
}

/**
 * Stop sending on a transceiver. The asynchronous step comes last: the connection may close meanwhile.
 * @param {RTCRtpTransceiver|undefined} transceiver
 */
async function idle(transceiver) {
  if (!transceiver) return;
  transceiver.direction = 'inactive';
  await transceiver.sender.replaceTrack(null);
}

/** @param {Source} source @returns {'audio'|'video'} */
export function kindOf(source) {
  return source === 'microphone' || source === 'screen-audio' ? 'audio' : 'video';
}
