import { enter } from './enter.js';

/** A tone of 440 Hz. */
export function tone() {
  const context = new AudioContext();
  const source = new OscillatorNode(context, { frequency: 440 });
  const output = context.createMediaStreamDestination();
  source.connect(new GainNode(context, { gain: 0.2 })).connect(output);
  source.start();
  return output.stream.getAudioTracks()[0];
}

/** A picture with a bar that moves. */
export function picture() {
  const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 180 });
  const drawing = canvas.getContext('2d');
  let position = 0;
  setInterval(() => {
    drawing.fillStyle = '#222';
    drawing.fillRect(0, 0, 320, 180);
    drawing.fillStyle = '#fa0';
    drawing.fillRect((position += 8) % 320, 0, 40, 180);
  }, 66);
  return canvas.captureStream(15).getVideoTracks()[0];
}

/** Publishes a tone and a picture until `signal` is aborted. */
export async function run({ signal, ...where }) {
  const room = await enter(where, 'tone-bot', {
    publish: (joining) => Promise.all([joining.publish('microphone', tone()), joining.publish('camera', picture())]),
  });
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
  room.leave();
}
