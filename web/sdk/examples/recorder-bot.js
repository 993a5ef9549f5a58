import { enter, next } from './enter.js';

/** Records the first microphone for some time; returns a Blob of WebM with Opus. */
export async function run({ seconds = 60, ...where }) {
  const room = await enter(where, 'recorder-bot');
  const known = [...room.roster.tracks.values()].find((track) => track.source === 'microphone' && track.mediaTrack);
  const track = known ?? await next(room, 'track-media', ({ source, mediaTrack }) => source === 'microphone' && mediaTrack);
  const stream = new MediaStream([track.mediaTrack]);
  const element = Object.assign(new Audio(), { srcObject: stream, muted: true }); // without it, Chromium decodes nothing
  await element.play();
  const recorder = new MediaRecorder(stream, { mimeType: 'audio/webm;codecs=opus' });
  const pieces = [];
  recorder.addEventListener('dataavailable', ({ data }) => pieces.push(data));
  const stopped = new Promise((resolve) => recorder.addEventListener('stop', resolve));
  recorder.start();
  setTimeout(() => recorder.stop(), seconds * 1000);
  await stopped;
  room.leave();
  return new Blob(pieces, { type: 'audio/webm' });
}
