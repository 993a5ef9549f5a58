/**
 * The participant's devices: opened once, previewed, then published. Turning the camera off releases the device (its
 * light goes out); turning the microphone off only mutes it, so that unmuting is instant.
 *
 * Events: `change`.
 */
import { deviceProblem, listDevices, mediaSupport, openCamera, openMicrophone } from '/sdk/devices.js';
import { Emitter } from '/sdk/emitter.js';
import { preferences, remember } from './preferences.js';
import { t } from './words.js';

export class LocalMedia extends Emitter {
  /** @type {MediaStreamTrack|null} */
  camera = null;
  /** @type {MediaStreamTrack|null} */
  microphone = null;
  cameraOn = preferences().cameraOn;
  microphoneOn = preferences().microphoneOn;
  /** Messages to show. */
  problems = { camera: '', microphone: '' };
  /** @type {{cameras: MediaDeviceInfo[], microphones: MediaDeviceInfo[], speakers: MediaDeviceInfo[]}} */
  devices = { cameras: [], microphones: [], speakers: [] };
  support = mediaSupport();
  #opening = { camera: Promise.resolve(), microphone: Promise.resolve() };
  #listen = new AbortController();

  /** Open the chosen devices in parallel; resolves once each is open or has failed. */
  async start() {
    if (!this.support.devices) return;
    navigator.mediaDevices.addEventListener('devicechange', () => void this.#list(), { signal: this.#listen.signal });
    await Promise.all([this.openMicrophone(), this.cameraOn ? this.openCamera() : undefined]);
    await this.#list();
  }

  openCamera(deviceId = preferences().camera) {
    this.#opening.camera = this.#opening.camera.then(() => this.#open('camera', () => openCamera(deviceId)));
    return this.#opening.camera;
  }

  openMicrophone(deviceId = preferences().microphone) {
    this.#opening.microphone = this.#opening.microphone.then(() => this.#open('microphone', () => openMicrophone(deviceId)));
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

  /** @param {'camera'|'microphone'} kind @param {() => Promise<MediaStreamTrack>} open */
  async #open(kind, open) {
    try {
      const track = await open();
      this.#give(kind);
      if (this.#listen.signal.aborted) {
        track.stop();
        return;
      }
      this[kind] = track;
      this.problems[kind] = '';
      track.enabled = kind === 'camera' || this.microphoneOn;
      track.addEventListener('ended', () => this.#unplugged(kind, track));
      if (kind === 'camera' && !this.cameraOn) this.#give('camera');
    } catch (error) {
      this.problems[kind] = t(`device.${kind}-${deviceProblem(error)}`);
    }
    this.#changed();
  }

  /** @param {'camera'|'microphone'} kind @param {MediaStreamTrack} track */
  #unplugged(kind, track) {
    if (this[kind] !== track) return;
    this[kind] = null;
    this.problems[kind] = t(`device.${kind}-lost`);
    if (kind === 'camera') this.cameraOn = false;
    this.#changed();
  }

  /** @param {'camera'|'microphone'} kind */
  #give(kind) {
    this[kind]?.stop();
    this[kind] = null;
  }

  async #list() {
    this.devices = await listDevices();
    this.#changed();
  }

  #changed() {
    this.emit('change');
  }
}
