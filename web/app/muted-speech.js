/** Detects that the participant speaks while muted. The sound never leaves the browser. */

const LOOK_MS = 150;
const LOUD = 0.02; // root mean square: speech near a microphone, not the room
const LOOKS = 4; // of the last six readings
const REST_MS = 15_000;

export class MutedSpeech {
  #noticed;
  /** @type {MediaStreamTrack|null} */
  #track = null;
  /** @type {MediaStreamTrack|null} */
  #clone = null;
  /** @type {AudioContext|null} */
  #context = null;
  /** @type {ReturnType<typeof setInterval>|undefined} */
  #timer;
  #quietUntil = 0;

  /** @param {AbortSignal} signal @param {() => void} noticed */
  constructor(signal, noticed) {
    this.#noticed = noticed;
    signal.addEventListener('abort', () => this.listen(null));
  }

  /** Listen to a microphone that is muted; null for none. @param {MediaStreamTrack|null} track */
  listen(track) {
    if (track === this.#track) return;
    clearInterval(this.#timer);
    this.#clone?.stop();
    void this.#context?.close();
    this.#track = track;
    this.#clone = this.#context = null;
    if (!track) return;
    // A clone, because the track itself is silent while muted.
    this.#clone = track.clone();
    this.#clone.enabled = true;
    this.#context = new AudioContext();
    const analyser = this.#context.createAnalyser();
    analyser.fftSize = 1024;
    this.#context.createMediaStreamSource(new MediaStream([this.#clone])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    let recent = '';
    this.#timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      recent = `${recent}${power > LOUD ** 2 ? '#' : '.'}`.slice(-6);
      if (performance.now() < this.#quietUntil || recent.split('#').length - 1 < LOOKS) return;
      this.#quietUntil = performance.now() + REST_MS;
      this.#noticed();
    }, LOOK_MS);
  }
}
