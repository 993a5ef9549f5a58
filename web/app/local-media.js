/**
 * The participant's devices: opened once, previewed, then published. Turning the camera off releases the device (its
 * light goes out); turning the microphone off only mutes it, so that unmuting is instant.
 *
 * Events: `change`; `device-added` (MediaDeviceInfo[]) were plugged in; `device-lost` ({kind, label, replacement}): an open device was
 * unplugged, `replacement` is the label of the one that is used instead, '' for none.
 */
import { deviceProblem, listDevices, mediaSupport, openCamera, openMicrophone } from '/sdk/devices.js';
import { Emitter } from '/sdk/emitter.js';
import { preferences, remember } from './preferences.js';
import { toast } from './toasts.js';
import { t } from './words.js';

export class LocalMedia extends Emitter {
  /** What is shown and sent: the camera's own track, or one with effects. @type {MediaStreamTrack|null} */
  camera = null;
  /** @type {MediaStreamTrack|null} */
  microphone = null;
  cameraOn = preferences().cameraOn;
  microphoneOn = preferences().microphoneOn;
  /** Messages to show. */
  problems = { camera: '', microphone: '', effects: '' };
  /** @type {{cameras: MediaDeviceInfo[], microphones: MediaDeviceInfo[], speakers: MediaDeviceInfo[]}} */
  devices = { cameras: [], microphones: [], speakers: [] };
  support = mediaSupport();
  /** True while the devices are opened for the first time: what is missing yet may still come. */
  starting = false;
  /** The camera's own track. @type {MediaStreamTrack|null} */
  #cameraTrack = null;
  /** @type {import('./effects.js').Effect|null} */
  #effect = null;
  #opening = { camera: Promise.resolve(), microphone: Promise.resolve() };
  #listen = new AbortController();

  /** Open the chosen devices in parallel; resolves once each is open or has failed. @param {boolean} [open] false to only list them */
  async start(open = true) {
    if (!this.support.devices) return;
    navigator.mediaDevices.addEventListener('devicechange', () => void this.#changedDevices(), { signal: this.#listen.signal });
    if (open) {
      this.starting = true;
      await Promise.all([this.openMicrophone(), this.cameraOn ? this.openCamera() : undefined]);
      this.starting = false;
    }
    await this.#list();
  }

  openCamera(deviceId = preferences().camera) {
    this.#opening.camera = this.#opening.camera.then(() => this.#open('camera', () => this.#insteadOfOurs(deviceId)));
    return this.#opening.camera;
  }

  openMicrophone(deviceId = preferences().microphone) {
    this.#opening.microphone = this.#opening.microphone.then(() => this.#open('microphone', () => openMicrophone(deviceId, { noiseSuppression: preferences().noiseSuppression, music: preferences().music })));
    return this.#opening.microphone;
  }

  /** @param {boolean} on */
  async setCamera(on) {
    this.cameraOn = on;
    remember({ cameraOn: on });
    if (on) {
      if (!this.camera) await this.openCamera();
    } else {
      this.#give('camera');
    }
    this.#changed();
  }

  /** @param {boolean} on */
  async setMicrophone(on) {
    this.microphoneOn = on;
    remember({ microphoneOn: on });
    if (on && !this.microphone) await this.openMicrophone();
    if (this.microphone) this.microphone.enabled = on;
    this.#changed();
  }

  /** Mute or unmute the microphone for now; the saved choice is unchanged. @param {boolean} on */
  switchMicrophone(on) {
    this.microphoneOn = on;
    if (this.microphone) this.microphone.enabled = on;
    this.#changed();
  }

  /** True while the system withholds the camera's picture, as phones do in the background. */
  get isCameraWithheld() {
    return this.#cameraTrack?.muted ?? false;
  }

  /** Take the next camera, for example the other one of a phone. */
  async nextCamera() {
    const { cameras } = this.devices;
    const at = cameras.findIndex(({ deviceId }) => deviceId === this.opened.camera);
    if (cameras.length > 1) await this.choose('camera', cameras[(at + 1) % cameras.length].deviceId);
  }

  /** True if our own picture is shown as in a mirror. What a camera sees that faces away from the user would be read the wrong way round. */
  get mirrored() {
    return preferences().mirror && this.#cameraTrack?.getSettings().facingMode !== 'environment';
  }

  /** The device of each kind that is open, '' for none. */
  get opened() {
    return { camera: this.#cameraTrack?.getSettings().deviceId ?? '', microphone: this.microphone?.getSettings().deviceId ?? '' };
  }

  /** Choose the camera's effects; they are kept on this device. @param {Partial<import('./effects.js').Look>} changes */
  setEffects(changes) {
    remember(changes);
    this.problems.effects = '';
    // Wait for a camera that is being opened and for earlier changes.
    this.#opening.camera = this.#opening.camera.then(async () => {
      if (!this.#cameraTrack) return;
      await this.#show(this.#cameraTrack);
      this.#changed();
    });
    return this.#opening.camera;
  }

  /** Choose how the microphone's sound is processed. @param {{noiseSuppression?: boolean, music?: boolean}} changes */
  async setProcessing(changes) {
    remember(changes);
    if (this.microphone) await this.openMicrophone();
  }

  /** @param {'camera'|'microphone'} kind @param {string} deviceId */
  async choose(kind, deviceId) {
    remember({ [kind]: deviceId });
    if (kind === 'camera' && !this.cameraOn) return;
    await (kind === 'camera' ? this.openCamera(deviceId) : this.openMicrophone(deviceId));
  }

  close() {
    this.#listen.abort();
    this.#give('camera');
    this.#give('microphone');
  }

  /**
   * Open a camera. Ours is closed before, since a phone opens one at a time; if the other cannot be opened, ours is opened again.
   * @param {string} deviceId
   */
  async #insteadOfOurs(deviceId) {
    const ours = this.opened.camera;
    this.#cameraTrack?.stop();
    try {
      return await openCamera(deviceId);
    } catch (error) {
      const again = ours === '' ? null : await openCamera(ours).catch(() => null);
      if (!again) {
        this.#give('camera');
        throw error;
      }
      remember({ camera: ours });
      toast(t(`device.camera-${deviceProblem(error)}`), 'problem');
      return again;
    }
  }

  /** @param {'camera'|'microphone'} kind @param {() => Promise<MediaStreamTrack>} open */
  async #open(kind, open) {
    try {
      const track = await open();
      this.#give(kind);
      if (this.#listen.signal.aborted) {
        track.stop();
        return;
      }
      this.problems[kind] = '';
      track.enabled = kind === 'camera' || this.microphoneOn;
      track.addEventListener('ended', () => void this.#unplugged(kind, track));
      for (const type of ['mute', 'unmute']) track.addEventListener(type, () => this.#changed());
      if (kind === 'camera') await this.#show(track);
      else this.microphone = track;
      if (kind === 'camera' && !this.cameraOn) this.#give('camera');
    } catch (error) {
      this.problems[kind] = t(`device.${kind}-${deviceProblem(error)}`);
    }
    this.#changed();
  }

  /** Make `camera` from the camera's track, with the chosen effects. @param {MediaStreamTrack} track */
  async #show(track) {
    const { background, lowLight } = preferences();
    const isFirst = track !== this.#cameraTrack;
    this.#cameraTrack = track;
    if (this.#effect && !isFirst && (background || lowLight)) return this.#effect.set({ background, lowLight }).catch(() => this.#withoutEffects('failed'));
    this.#effect?.stop();
    this.#effect = null;
    if (background || lowLight) {
      try {
        const { Effect } = await import('./effects.js');
        const effect = await Effect.start(track, { background, lowLight }, (why) => this.#withoutEffects(why));
        if (this.#cameraTrack !== track) return effect.stop(); // it was unplugged meanwhile
        this.#effect = effect;
      } catch {
        return this.#withoutEffects('failed');
      }
    }
    this.camera = this.#effect?.track ?? track;
  }

  /** Handle effects that stopped by themselves: reset the choice and notify the user. @param {'slow'|'failed'} why */
  #withoutEffects(why) {
    this.#effect?.stop();
    this.#effect = null;
    remember({ background: '', lowLight: false });
    this.camera = this.#cameraTrack;
    this.problems.effects = t(`effects.${why}`);
    toast(this.problems.effects, 'problem');
    this.#changed();
  }

  /**
   * Take another microphone instead of one that was unplugged, so that the others go on hearing us. The camera stays off: another one
   * might show what should not be seen. @param {'camera'|'microphone'} kind @param {MediaStreamTrack} track
   */
  async #unplugged(kind, track) {
    if ((kind === 'camera' ? this.#cameraTrack : this.microphone) !== track) return;
    this.#give(kind);
    this.problems[kind] = t(`device.${kind}-lost`);
    if (kind === 'camera') this.cameraOn = false;
    this.#changed();
    if (kind === 'microphone') await this.openMicrophone('');
    if (this.#listen.signal.aborted) return;
    this.emit('device-lost', { kind, label: track.label, replacement: kind === 'microphone' ? this.microphone?.label ?? '' : '' });
  }

  /** @param {'camera'|'microphone'} kind */
  #give(kind) {
    this[kind]?.stop();
    this[kind] = null;
    if (kind === 'microphone') return;
    this.#effect?.stop();
    this.#cameraTrack?.stop();
    this.#effect = this.#cameraTrack = null;
  }

  async #changedDevices() {
    const all = () => [...this.devices.cameras, ...this.devices.microphones, ...this.devices.speakers];
    const known = new Set(all().map(({ deviceId, kind }) => `${kind} ${deviceId}`));
    await this.#list();
    const added = all().filter(({ deviceId, kind }) => !known.has(`${kind} ${deviceId}`));
    // Without names of devices, the page had no permission yet, and nothing is new.
    if (known.size > 0 && added.length > 0) this.emit('device-added', added);
  }

  async #list() {
    this.devices = await listDevices();
    this.#changed();
  }

  #changed() {
    this.emit('change');
  }
}
