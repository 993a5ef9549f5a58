/**
 * Camera effects: turns a camera's track into a track with effects. Loaded when one is first chosen. The work is done
 * by effects-worker.js; if the browser has no streams of frames, pictures are sent there and back one by one.
 */
import { paint } from './backdrops.js';
import { startEffectsWorker } from './effects-port.js';
import { ownPicture } from './own-backdrop.js';

const START_MS = 20_000;
const PICTURE = { width: 1280, height: 720 };

/** @typedef {{background: string, lowLight: boolean}} Look `background`: '', 'blur-light', 'blur', 'own' or a name of backdrops.js */

export class Effect {
  /** The track with the effect. @type {MediaStreamTrack} */
  track;
  #worker;
  #stopped = new AbortController();
  #failed;
  /** @type {((reason: string) => void)|null} */
  #settle = null;

  /**
   * @param {MediaStreamTrack} camera @param {Worker} worker
   * @param {(why: 'slow'|'failed') => void} failed
   */
  constructor(camera, worker, failed) {
    this.#worker = worker;
    this.#failed = failed;
    worker.addEventListener('message', ({ data }) => this.#told(data));
    worker.addEventListener('error', () => this.#told({ kind: 'failed', reason: 'the worker does not load' }));
    this.track = typeof MediaStreamTrackProcessor === 'undefined' || typeof MediaStreamTrackGenerator === 'undefined' ? this.#byPictures(camera) : this.#byStreams(camera);
  }

  /**
   * Resolves when the first picture can be drawn with the effect; rejects if that is impossible.
   * @param {MediaStreamTrack} camera @param {Look} look @param {(why: 'slow'|'failed') => void} failed called once when it ends later
   */
  static async start(camera, look, failed) {
    const effect = new Effect(camera, startEffectsWorker(), failed);
    try {
      await effect.set(look);
    } catch (error) {
      effect.stop();
      throw error;
    }
    return effect;
  }

  /** @param {Look} look */
  async set(look) {
    const picture = look.background.startsWith('blur') || !look.background ? null : await pictureOf(look.background);
    const settled = new Promise((resolve, reject) => {
      this.#settle = (reason) => (reason ? reject(new Error(reason)) : resolve(undefined));
      setTimeout(() => reject(new Error('the effect does not start')), START_MS);
    });
    this.#worker.postMessage({ kind: 'set', look: { ...look, picture } }, picture ? [picture] : []);
    await settled;
  }

  stop() {
    this.#stopped.abort();
    this.#worker.terminate();
    this.track.stop();
  }

  /** @param {any} message */
  #told({ kind, reason = '', bitmap }) {
    if (this.#stopped.signal.aborted) return bitmap?.close();
    if (kind === 'ready' || (kind === 'failed' && this.#settle)) {
      this.#settle?.(reason);
      this.#settle = null;
    } else if (kind === 'slow' || kind === 'failed') {
      this.#failed(kind);
    }
  }

  /** @param {MediaStreamTrack} camera @returns {MediaStreamTrack} */
  #byStreams(camera) {
    const { readable } = new MediaStreamTrackProcessor({ track: camera });
    const generator = new MediaStreamTrackGenerator({ kind: 'video' });
    const { writable } = generator;
    this.#worker.postMessage({ kind: 'streams', readable, writable }, [readable, writable]);
    return generator;
  }

  /** @param {MediaStreamTrack} camera @returns {MediaStreamTrack} */
  #byPictures(camera) {
    const { signal } = this.#stopped;
    const video = document.createElement('video');
    video.muted = true;
    video.srcObject = new MediaStream([camera]);
    void video.play().catch(() => undefined);
    const { width = PICTURE.width, height = PICTURE.height } = camera.getSettings();
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', { alpha: false }));
    this.#worker.addEventListener('message', async ({ data: { kind, bitmap } }) => {
      if (kind === 'drawn') {
        context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
        bitmap.close();
      } else if (kind === 'tick') {
        const taken = video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA ? await createImageBitmap(video).catch(() => null) : null;
        if (signal.aborted) return taken?.close();
        if (taken && (canvas.width !== taken.width || canvas.height !== taken.height)) Object.assign(canvas, { width: taken.width, height: taken.height });
        this.#worker.postMessage({ kind: 'frame', bitmap: taken }, taken ? [taken] : []);
      }
    }, { signal });
    signal.addEventListener('abort', () => (video.srcObject = null));
    this.#worker.postMessage({ kind: 'begin' });
    return canvas.captureStream().getVideoTracks()[0];
  }
}

/** @param {string} name @returns {Promise<ImageBitmap>} */
async function pictureOf(name) {
  const own = name === 'own' ? await ownPicture() : null;
  if (own) return createImageBitmap(own);
  const canvas = new OffscreenCanvas(PICTURE.width, PICTURE.height);
  paint(name, /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext('2d')), PICTURE.width, PICTURE.height);
  return canvas.transferToImageBitmap();
}
