import { Encryption } from '@parley/sdk';
import { enter, next } from './enter.js';
import { tone } from './tone-bot.js';

/** Sends encrypted sound until `signal` is aborted. Compare the six digits by voice. */
export async function speak({ words, signal, ...where }) {
  const encryption = Encryption.fromPassphrase(words, where.meeting);
  const room = await enter(where, 'encrypted-speaker', { options: { encryption }, publish: (joining) => joining.publish('microphone', tone()) });
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
  room.leave();
  return encryption.code;
}

/** Listens until sound was heard; returns the digits and the loudest level (0 to 1), which is 0 if the words differ. */
export async function listen({ words, seconds = 5, ...where }) {
  const encryption = Encryption.fromPassphrase(words, where.meeting);
  const room = await enter(where, 'encrypted-listener', { options: { encryption } });
  const known = [...room.roster.tracks.values()].find((track) => track.source === 'microphone' && track.mediaTrack);
  const { mediaTrack } = known ?? await next(room, 'track-media', (track) => track.source === 'microphone' && track.mediaTrack);
  const element = Object.assign(new Audio(), { srcObject: new MediaStream([mediaTrack]) }); // without it, nothing is decoded
  void element.play();
  const context = new AudioContext();
  const meter = new AnalyserNode(context);
  new MediaStreamAudioSourceNode(context, { mediaStream: element.srcObject }).connect(meter);
  const samples = new Float32Array(meter.fftSize);
  let loudest = 0;
  for (const end = performance.now() + seconds * 1000; performance.now() < end && loudest < 0.05;) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    meter.getFloatTimeDomainData(samples);
    loudest = Math.max(loudest, ...samples.map(Math.abs));
  }
  room.leave();
  return { code: await encryption.code, loudest };
}
