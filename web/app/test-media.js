/** A picture and a tone that cost as many bits as a camera and a voice, for a test of the network. */

const WIDTH = 1280;
const HEIGHT = 720;
const FRAME_MS = 40;
/** The side of the noise, and how much it is enlarged: fine noise would keep the encoder busier than a camera does. */
const NOISE = 256;
const ENLARGED = 6;
/** The most that getRandomValues fills at once. */
const RANDOM_BYTES = 65_536;

/** @typedef {{track: MediaStreamTrack, stop: () => void}} TestMedia */

/** @returns {TestMedia} moving noise, which no encoder can compress away */
export function testPicture() {
  const canvas = document.createElement('canvas');
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  const noise = noiseTile();
  const draw = () => {
    const x = -Math.random() * (NOISE * ENLARGED - WIDTH);
    const y = -Math.random() * (NOISE * ENLARGED - HEIGHT);
    context.drawImage(noise, x, y, NOISE * ENLARGED, NOISE * ENLARGED);
  };
  draw();
  const timer = setInterval(draw, FRAME_MS);
  const [track] = canvas.captureStream(1000 / FRAME_MS).getTracks();
  return {
    track,
    stop: () => {
      clearInterval(timer);
      track.stop();
    },
  };
}

function noiseTile() {
  const tile = document.createElement('canvas');
  tile.width = NOISE;
  tile.height = NOISE;
  const context = /** @type {CanvasRenderingContext2D} */ (tile.getContext('2d'));
  const image = context.createImageData(NOISE, NOISE);
  for (let place = 0; place < image.data.length; place += RANDOM_BYTES) {
    crypto.getRandomValues(image.data.subarray(place, place + RANDOM_BYTES));
  }
  for (let place = 3; place < image.data.length; place += 4) image.data[place] = 255;
  context.putImageData(image, 0, 0);
  return tile;
}

/** @returns {TestMedia} a tone that nobody hears */
export function testTone() {
  const context = new AudioContext();
  const destination = context.createMediaStreamDestination();
  const tone = new OscillatorNode(context, { frequency: 220 });
  const volume = new GainNode(context, { gain: 0.1 });
  tone.connect(volume).connect(destination);
  tone.start();
  const [track] = destination.stream.getTracks();
  return {
    track,
    stop: () => {
      track.stop();
      void context.close();
    },
  };
}
