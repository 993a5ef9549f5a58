/** The captions of a recording as a text track, which the controls of the video turn on and off. */
import { t } from './words.js';

/** @param {HTMLVideoElement} video @param {any[]} captions in ms of the video */
export function addCaptions(video, captions) {
  if (captions.length === 0) return;
  const track = video.addTextTrack('captions', t('film.captions'), document.documentElement.lang);
  for (const caption of captions) {
    const cue = new VTTCue(caption.start_ms / 1000, Math.max(caption.end_ms, caption.start_ms + 1) / 1000, '');
    // Read when it is shown: a line may have been edited since.
    cue.addEventListener('enter', () => (cue.text = textOf(caption)));
    cue.text = textOf(caption);
    track.addCue(cue);
  }
}

/** @param {any} caption @returns {string} its text, with the marks of WebVTT escaped */
function textOf({ name, text }) {
  return `${name}: ${text}`.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
