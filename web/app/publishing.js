/** Connects the devices to the tracks that the room publishes. */
import { toast } from './toasts.js';
import { sentenceOf } from './format.js';
import { t } from './words.js';

/** The longest that the media server may take to learn that a source was released. */
const RELEASE_MS = 3_000;

export class Publishing {
  #room;
  #media;
  /** The last track published for each source. @type {{camera: MediaStreamTrack|null, microphone: MediaStreamTrack|null}} */
  #given = { camera: null, microphone: null };
  #queue = Promise.resolve();
  #signal;

  #unmute;

  /**
   * @param {import('/sdk/parley.js').Room} room @param {import('./local-media.js').LocalMedia} media
   * @param {{signal: AbortSignal, unmute: (source: string) => Promise<unknown>}} options `unmute` asks the server to release what a host muted
   */
  constructor(room, media, { signal, unmute }) {
    this.#unmute = unmute;
    this.#room = room;
    this.#media = media;
    this.#signal = signal;
    media.addEventListener('change', () => void this.#sync(), { signal });
    room.addEventListener('grants', () => this.#obey(), { signal });
    signal.addEventListener('abort', () => this.#stopScreen());
  }

  /** Publish the devices that are open; others follow when they open. */
  start() {
    return this.#sync();
  }

  async toggleMicrophone() {
    if (!await this.#released('microphone')) return;
    await this.#media.setMicrophone(!this.#media.microphoneOn || !this.#media.microphone);
    if (this.#media.microphoneOn && !this.#media.microphone) toast(this.#media.problems.microphone, 'problem');
  }

  async toggleCamera() {
    if (!await this.#released('camera')) return;
    await this.#media.setCamera(!this.#media.camera);
    if (this.#media.cameraOn && !this.#media.camera) toast(this.#media.problems.camera, 'problem');
  }

  /** Release a source that a host muted, where that is permitted. @param {'microphone'|'camera'} source @returns {Promise<boolean>} whether it may be turned on */
  async #released(source) {
    const held = () => this.#room.grants.muted.includes(source);
    if (!held()) return true;
    if (!this.#room.grants.unmute) {
      toast(t(source === 'microphone' ? 'call.host-muted' : 'call.host-stopped-camera'));
      return false;
    }
    try {
      await this.#unmute(source);
    } catch (error) {
      toast(sentenceOf(error), 'problem');
      return false;
    }
    // The media server learns of it from control: wait for that.
    for (const ends = performance.now() + RELEASE_MS; held() && performance.now() < ends;) await new Promise((resolve) => this.#waits(resolve));
    return !held();
  }

  /** @param {(value?: unknown) => void} resolve called at the next change of our grants, or after a while */
  #waits(resolve) {
    const timer = setTimeout(resolve, RELEASE_MS);
    this.#room.addEventListener('grants', () => {
      clearTimeout(timer);
      resolve();
    }, { once: true, signal: this.#signal });
  }

  /** @param {() => Promise<{screen: MediaStreamTrack, audio: MediaStreamTrack|null}>} open */
  async toggleScreen(open) {
    if (this.#room.local('screen')) {
      this.#stopScreen();
      return;
    }
    try {
      const { screen, audio } = await open();
      screen.addEventListener('ended', () => this.#stopScreen());
      await this.#room.publish('screen', screen);
      if (audio) await this.#room.publish('screen-audio', audio);
    } catch (error) {
      if (!(error instanceof DOMException && error.name === 'NotAllowedError')) toast(t('call.screen-failed'), 'problem');
    }
  }

  #stopScreen() {
    for (const source of /** @type {const} */ (['screen', 'screen-audio'])) {
      this.#room.local(source)?.mediaTrack?.stop();
      void this.#room.unpublish(source);
    }
  }

  /** Changes run one at a time: a camera that opens meanwhile waits. */
  #sync() {
    this.#queue = this.#queue.then(() => this.#apply()).catch((error) => void toast(sentenceOf(error), 'problem'));
    return this.#queue;
  }

  async #apply() {
    if (this.#signal.aborted) return;
    const { camera, microphone, microphoneOn } = this.#media;
    await this.#source('microphone', microphone, !microphoneOn);
    await this.#source('camera', camera, this.#media.isCameraWithheld);
  }

  /** @param {'microphone'|'camera'} source @param {MediaStreamTrack|null} mediaTrack @param {boolean} muted */
  async #source(source, mediaTrack, muted) {
    const local = this.#room.local(source);
    if (mediaTrack && !local) {
      if (this.#room.participant && !this.#room.grants.publish.includes(source)) return;
      this.#given[source] = mediaTrack;
      await this.#room.publish(source, mediaTrack, { muted });
    } else if (mediaTrack !== this.#given[source]) {
      this.#given[source] = mediaTrack;
      if (local) await this.#room.setMuted(source, mediaTrack === null || muted, mediaTrack);
    } else if (local && local.muted !== (mediaTrack === null || muted)) {
      await this.#room.setMuted(source, mediaTrack === null || muted);
    }
  }

  /** A host muted us: turn the devices off, so that the buttons match. */
  #obey() {
    const { muted } = this.#room.grants;
    if (muted.includes('microphone') && this.#media.microphoneOn) void this.#media.setMicrophone(false);
    if (muted.includes('camera') && this.#media.camera) void this.#media.setCamera(false);
    // Publish the sources that are on and now permitted.
    void this.#sync();
  }
}
