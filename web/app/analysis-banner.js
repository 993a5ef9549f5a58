/** Where a server offers to analyse faces and voices: the question whether one agrees, and what it makes of whom. */
import { h, setText } from './dom.js';

const EVERY_MS = 3000;
const ANALYSIS = {
  version: 'analysis-2',
  text: 'While you agree, this server can analyse how your face looks and how your voice sounds, and estimate whether they are synthetic. The hosts see the results; nothing is stored. The analysis does not show what you feel.',
};

export class AnalysisBanner {
  element;
  #text = h('p', { id: 'analysis-text' });
  #agree = h('button', { type: 'button', class: 'button small', id: 'analysis-agree' }, 'I agree');
  #refuse = h('button', { type: 'button', class: 'button small', id: 'analysis-refuse' }, 'No');
  #room;
  #rest;
  #meeting;
  #offer;
  #consent = false;
  #answered = false;
  #timer = 0;

  /**
   * @param {import('/sdk/parley.js').Room} room
   * @param {import('/sdk/parley.js').Rest} rest
   * @param {string} meeting
   * @param {{signal: AbortSignal, offer: {emotion: boolean, synthesis: boolean}}} options
   */
  constructor(room, rest, meeting, { signal, offer }) {
    this.#room = room;
    this.#rest = rest;
    this.#meeting = meeting;
    this.#offer = offer;
    this.element = h('div', { class: 'banner banner-analysis', role: 'status' },
      this.#text, h('div', { class: 'row-actions' }, this.#agree, this.#refuse));
    this.#agree.addEventListener('click', () => this.#answer(true));
    this.#refuse.addEventListener('click', () => this.#answer(false));
    signal.addEventListener('abort', () => clearTimeout(this.#timer));
    void this.#show(signal);
  }

  /** @param {boolean} granted */
  #answer(granted) {
    this.#consent = granted;
    this.#answered = true;
    this.#room.setConsent({ text: ANALYSIS.version, analysis: granted });
    this.#update([]);
  }

  /** @param {AbortSignal} signal */
  async #show(signal) {
    let tracks = [];
    if (this.#consent || this.#room.grants.host) {
      ({ tracks } = await this.#rest.get(`/meetings/${this.#meeting}/analysis`).catch(() => ({ tracks: [] })));
    }
    if (signal.aborted) return;
    this.#update(tracks);
    this.#timer = setTimeout(() => void this.#show(signal), EVERY_MS);
  }

  /** @param {any[]} tracks */
  #update(tracks) {
    this.#agree.hidden = this.#consent;
    this.#refuse.hidden = this.#answered && !this.#consent;
    setText(this.#refuse, this.#consent ? 'Stop analysing me' : 'No');
    const said = tracks.map((track) => this.#words(track)).filter(Boolean);
    const state = this.#consent ? 'You agreed to analysis.' : this.#answered ? 'You are not analysed.' : ANALYSIS.text;
    setText(this.#text, [state, ...said].join(' '));
  }

  /** @param {any} track */
  #words({ participant, media, emotion, synthesis }) {
    const name = this.#room.roster.participants.get(participant)?.name ?? 'You';
    const parts = [];
    if (media === 'video' && emotion) parts.push(emotion.expression ? `face looks ${emotion.expression}` : 'no face visible');
    const last = media === 'audio' ? emotion?.utterances.at(-1) : null;
    if (last?.pitch_hz) parts.push(`voice cues: ${Math.round(last.pitch_hz)} Hz, ±${last.pitch_spread} semitones`);
    if (this.#offer.synthesis && synthesis) parts.push(`generated ${media === 'audio' ? 'voice' : 'face'}: ${synthesis.text}`);
    return parts.length > 0 ? `${name}: ${parts.join('; ')}.` : '';
  }
}
