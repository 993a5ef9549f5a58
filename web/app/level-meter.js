/** A level meter that shows, before joining, that the microphone works. */
import { h } from './dom.js';

/** @param {AbortSignal} signal ends it */
export function levelMeter(signal) {
  const fill = h('span', { class: 'meter-fill' });
  const element = h('div', { class: 'meter', 'aria-hidden': 'true' }, fill);
  /** @type {AudioContext|null} */
  let context = null;
  /** @type {MediaStreamAudioSourceNode|null} */
  let source = null;
  /** @type {AnalyserNode|null} */
  let analyser = null;
  /** @type {MediaStreamTrack|null} */
  let shown = null;
  let frame = 0;

  /** @param {AnalyserNode} from @param {Float32Array<ArrayBuffer>} samples */
  function draw(from, samples) {
    from.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    const level = Math.min(1, Math.max(0, (10 * Math.log10(power + 1e-9) + 60) / 50));
    fill.style.transform = `scaleX(${level.toFixed(3)})`;
    frame = requestAnimationFrame(() => draw(from, samples));
  }

  /** @param {MediaStreamTrack|null} track */
  function show(track) {
    if (track === shown) return;
    shown = track;
    cancelAnimationFrame(frame);
    source?.disconnect();
    fill.style.transform = 'scaleX(0)';
    if (!track) return;
    context ??= new AudioContext();
    void context.resume();
    analyser ??= context.createAnalyser();
    analyser.fftSize = 1024;
    source = context.createMediaStreamSource(new MediaStream([track]));
    source.connect(analyser);
    draw(analyser, new Float32Array(analyser.fftSize));
  }
  signal.addEventListener('abort', () => {
    cancelAnimationFrame(frame);
    void context?.close();
  });
  return { element, show };
}
