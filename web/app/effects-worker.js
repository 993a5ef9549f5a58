/**
 * The worker of camera effects: it finds the person in each picture, replaces the background, and brightens dark
 * pictures. Nothing leaves the browser.
 *
 * Messages to it: `set` (a Look, with `picture` as an ImageBitmap), `streams` (of VideoFrames, if the browser supports them),
 * `frame` (an ImageBitmap, otherwise, in answer to `tick`). Messages from it: `ready`, `tick`, `drawn` (an ImageBitmap),
 * `failed`, `slow` (it uses too much of a core even at half the size).
 */
import { createSegmenter } from '/vendor/segmenter.js';

const WASM = '/vendor/segmenter.wasm';
const MODEL = '/vendor/segmenter.tflite';
/** The interval of looking for the person, who moves little in it. */
const LOOK_MS = 60;
const TICK_MS = 40;
/** The maximum load of a core, the time over which it is measured, and the number of excesses in a row before a reaction. */
const MOST_BUSY = 0.5;
const MEASURED_MS = 2_000;
const TOO_OFTEN = 3;
/** The share of the last mask in the next one, so that edges do not flicker. */
const INERTIA = 0.35;
/** Box blurs, in pixels of half the model's picture. @type {Record<string, number>} */
const RADII = { 'blur-light': 2, blur: 6 };
/** The mean brightness below which a picture is dark. */
const DARK = 0.42;

/** @typedef {{background: string, lowLight: boolean, picture?: ImageBitmap|null}} Look */

const port = /** @type {{postMessage: (message: any, transfer?: Transferable[]) => void}} */ (/** @type {unknown} */ (self));
/** @type {Look} */
let look = { background: '', lowLight: false };
/** @type {Promise<Segmenter>|null} */
let loading = null;
/** @type {Segmenter|null} */
let segmenter = null;

/** Detects people: returns a confidence for each pixel of a small picture. */
class Segmenter {
  width;
  height;
  #module;

  /** @param {any} module */
  constructor(module) {
    this.#module = module;
    this.width = module._getInputWidth();
    this.height = module._getInputHeight();
  }

  static async load() {
    const [module, model] = await Promise.all([createSegmenter({ locateFile: () => WASM }), fetch(MODEL)]);
    if (!model.ok) throw new Error(`${MODEL}: ${model.status}`);
    const bytes = new Uint8Array(await model.arrayBuffer());
    module.HEAPU8.set(bytes, module._getModelBufferMemoryOffset());
    module._loadModel(bytes.length);
    return new Segmenter(module);
  }

  /** @param {Uint8ClampedArray} pixels @returns {Float32Array} */
  find(pixels) {
    const { HEAPF32 } = this.#module;
    let to = this.#module._getInputMemoryOffset() / 4;
    for (let from = 0; from < pixels.length; from += 4) {
      HEAPF32[to++] = pixels[from] / 255;
      HEAPF32[to++] = pixels[from + 1] / 255;
      HEAPF32[to++] = pixels[from + 2] / 255;
    }
    this.#module._runInference();
    const start = this.#module._getOutputMemoryOffset() / 4;
    return HEAPF32.subarray(start, start + this.width * this.height);
  }
}

/** A canvas and its context. @param {number} width @param {number} height @param {boolean} [isRead] true if its pixels are read often */
function surface(width, height, isRead = false) {
  const canvas = new OffscreenCanvas(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext('2d', { willReadFrequently: isRead }));
  return { canvas, context };
}

const SMALL = { width: 256, height: 144 };
const small = surface(SMALL.width, SMALL.height, true);
const layer = surface(SMALL.width, SMALL.height, true);
const output = surface(16, 16);
const confidence = new Float32Array(SMALL.width * SMALL.height);
let lookedAt = -Infinity;
let lift = 0;

/** Analyse a picture: find the person and measure brightness, and prepare the mask or the layer drawn over it. @param {CanvasImageSource} source */
function lookAt(source) {
  small.context.drawImage(source, 0, 0, SMALL.width, SMALL.height);
  const image = small.context.getImageData(0, 0, SMALL.width, SMALL.height);
  lift = look.lowLight ? liftFor(image.data) : 0;
  if (!look.background || !segmenter) return;
  const found = segmenter.find(image.data);
  for (let index = 0; index < confidence.length; index++) {
    confidence[index] = INERTIA * confidence[index] + (1 - INERTIA) * found[index];
  }
  const radius = RADII[look.background];
  if (radius) blurBehind(image.data, radius);
  for (let index = 0; index < confidence.length; index++) {
    const share = Math.min(1, Math.max(0, (confidence[index] - 0.25) / 0.5));
    const opaque = share * share * (3 - 2 * share);
    image.data[4 * index + 3] = 255 * (radius ? 1 - opaque : opaque);
  }
  layer.context.putImageData(image, 0, 0);
}

/** Return the brightening, from 0 to 0.8, which changes slowly. @param {Uint8ClampedArray} pixels @returns {number} */
function liftFor(pixels) {
  let sum = 0;
  for (let from = 0; from < pixels.length; from += 64) sum += 0.3 * pixels[from] + 0.59 * pixels[from + 1] + 0.11 * pixels[from + 2];
  const mean = sum / (pixels.length / 64) / 255;
  const wanted = Math.min(0.8, Math.max(0, (DARK - mean) / DARK) * 1.4);
  return lift + 0.1 * (wanted - lift);
}

const half = { width: SMALL.width / 2, height: SMALL.height / 2 };
const sums = new Float32Array(half.width * half.height * 4);
const swap = new Float32Array(sums.length);

/** Blur the background in place; the person's colours are excluded, so that there is no halo. @param {Uint8ClampedArray} pixels @param {number} radius */
function blurBehind(pixels, radius) {
  for (let y = 0; y < half.height; y++) {
    for (let x = 0; x < half.width; x++) {
      const from = 2 * y * SMALL.width + 2 * x;
      const to = 4 * (y * half.width + x);
      const weight = 1.02 - confidence[from];
      for (let channel = 0; channel < 3; channel++) {
        const value = pixels[4 * from + channel];
        sums[to + channel] = weight * (lift ? value + lift * value * (1 - value / 255) : value);
      }
      sums[to + 3] = weight;
    }
  }
  for (let pass = 0; pass < 2; pass++) {
    boxBlur(sums, swap, half.width, half.height, 4, 4 * half.width, radius);
    boxBlur(swap, sums, half.height, half.width, 4 * half.width, 4, radius);
  }
  for (let y = 0; y < SMALL.height; y++) {
    for (let x = 0; x < SMALL.width; x++) {
      const from = 4 * ((y >> 1) * half.width + (x >> 1));
      const to = 4 * (y * SMALL.width + x);
      const weight = Math.max(1e-3, sums[from + 3]);
      pixels[to] = sums[from] / weight;
      pixels[to + 1] = sums[from + 1] / weight;
      pixels[to + 2] = sums[from + 2] / weight;
    }
  }
}

/** One direction of a box blur of four channels. @param {Float32Array} from @param {Float32Array} to @param {number} length @param {number} lines @param {number} step @param {number} stride @param {number} radius */
function boxBlur(from, to, length, lines, step, stride, radius) {
  const share = 1 / (2 * radius + 1);
  for (let line = 0; line < lines; line++) {
    for (let channel = 0; channel < 4; channel++) {
      const start = line * stride + channel;
      const last = start + (length - 1) * step;
      let sum = radius * from[start];
      for (let index = 0; index <= radius; index++) sum += from[Math.min(last, start + index * step)];
      for (let index = 0; index < length; index++) {
        const at = start + index * step;
        to[at] = sum * share;
        sum += from[Math.min(last, at + (radius + 1) * step)] - from[Math.max(start, at - radius * step)];
      }
    }
  }
}

/** Draw a picture with its effects on `output`. @param {CanvasImageSource} source @param {number} width @param {number} height */
function draw(source, width, height) {
  const now = performance.now();
  const { canvas, context } = output;
  const [w, h] = isHalved ? [width >> 1, height >> 1] : [width, height];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  if (now - lookedAt >= LOOK_MS) {
    lookedAt = now;
    lookAt(source);
  }
  context.globalCompositeOperation = 'copy';
  context.drawImage(source, 0, 0, w, h);
  if (lift > 0.02) {
    context.globalCompositeOperation = 'screen';
    context.globalAlpha = lift;
    context.drawImage(source, 0, 0, w, h);
    context.globalAlpha = 1;
  }
  if (look.background && segmenter) {
    const blurs = look.background in RADII;
    context.globalCompositeOperation = blurs ? 'source-over' : 'destination-in';
    context.drawImage(layer.canvas, 0, 0, w, h);
    if (!blurs && look.picture) {
      context.globalCompositeOperation = 'destination-over';
      cover(context, look.picture, w, h);
    }
  }
  measure(performance.now() - now);
}

/** Fill a canvas with a picture, cropped to the canvas's aspect ratio. @param {OffscreenCanvasRenderingContext2D} context @param {ImageBitmap} picture @param {number} width @param {number} height */
function cover(context, picture, width, height) {
  const scale = Math.max(width / picture.width, height / picture.height);
  const [w, h] = [picture.width * scale, picture.height * scale];
  context.drawImage(picture, (width - w) / 2, (height - h) / 2, w, h);
}

/** No picture of the camera is shown before the effect can be drawn. */
let isReady = false;
let isHalved = false;
let since = 0;
let busy = 0;
let tooBusy = 0;

/** Record the time that a picture took: if it is too much, halve the size, and then give up. @param {number} ms */
function measure(ms) {
  const now = performance.now();
  busy += ms;
  since ||= now;
  if (now - since < MEASURED_MS) return;
  const share = busy / (now - since);
  port.postMessage({ kind: 'load', share });
  tooBusy = share > MOST_BUSY ? tooBusy + 1 : 0;
  since = now;
  busy = 0;
  if (tooBusy < TOO_OFTEN) return;
  tooBusy = 0;
  if (isHalved) port.postMessage({ kind: 'slow' });
  isHalved = true;
}

/** @param {ReadableStream<VideoFrame>} readable @param {WritableStream<VideoFrame>} writable */
async function run(readable, writable) {
  const reader = readable.getReader();
  const writer = writable.getWriter();
  for (;;) {
    const { done, value: frame } = await reader.read();
    if (done) return;
    if (!isReady) {
      frame.close();
      continue;
    }
    draw(frame, frame.displayWidth, frame.displayHeight);
    const drawn = new VideoFrame(output.canvas, { timestamp: frame.timestamp, alpha: 'discard' });
    frame.close();
    await writer.write(drawn);
  }
}

/** Request the next picture, an interval after the last. @param {number} began */
function askAgain(began) {
  setTimeout(() => port.postMessage({ kind: 'tick' }), Math.max(0, TICK_MS - (performance.now() - began)));
}

/** @param {Look} wanted */
async function set(wanted) {
  look.picture?.close();
  look = wanted;
  if (look.background && !segmenter) {
    loading ??= Segmenter.load();
    segmenter = await loading;
  }
  lookedAt = -Infinity;
  isReady = true;
  port.postMessage({ kind: 'ready' });
}

/** @type {Record<string, (message: any) => unknown>} */
const HANDLERS = {
  set: ({ look: wanted }) => set(wanted),
  streams: ({ readable, writable }) => run(readable, writable),
  begin: () => port.postMessage({ kind: 'tick' }),
  frame: ({ bitmap }) => {
    const began = performance.now();
    if (bitmap && isReady) {
      draw(bitmap, bitmap.width, bitmap.height);
      bitmap.close();
      const drawn = output.canvas.transferToImageBitmap();
      port.postMessage({ kind: 'drawn', bitmap: drawn }, [drawn]);
    }
    askAgain(began);
  },
};

addEventListener('message', async ({ data }) => {
  try {
    await HANDLERS[data.kind](data);
  } catch (error) {
    port.postMessage({ kind: 'failed', reason: String(error) });
  }
});
