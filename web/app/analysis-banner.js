/** Analysis of faces and voices, if the server offers it: asks for consent, and shows hosts the results. */
import { h, setText } from './dom.js';
import { t } from './words.js';

const EVERY_MS = 3000;
/** The version of the text `analysis.text`, stored with each answer. */
const VERSION = 'analysis-2';

export class AnalysisBanner {
  element;
  #text = h('p', { id: 'analysis-text' });
  #agree = h('button', { type: 'button', class: 'button small', id: 'analysis-agree' }, t('analysis.agree'));
  #refuse = h('button', { type: 'button', class: 'button small', id: 'analysis-refuse' }, t('analysis.refuse'));
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
    this.#room.setConsent({ text: VERSION, analysis: granted });
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
    setText(this.#refuse, t(this.#consent ? 'analysis.stop' : 'analysis.refuse'));
    const said = tracks.map((track) => this.#words(track)).filter(Boolean);
    const state = t(this.#consent ? 'analysis.agreed' : this.#answered ? 'analysis.not' : 'analysis.text');
    setText(this.#text, [state, ...said].join(' '));
  }

  /** @param {any} track */
  #words({ participant, media, emotion, synthesis }) {
    const name = this.#room.roster.participants.get(participant)?.name ?? t('person.you-alone');
    const parts = [];
    if (media === 'video' && emotion) parts.push(emotion.expression ? t('analysis.face', { expression: emotion.expression }) : t('analysis.no-face'));
    const last = media === 'audio' ? emotion?.utterances.at(-1) : null;
    if (last?.pitch_hz) parts.push(t('analysis.voice', { hertz: Math.round(last.pitch_hz), spread: last.pitch_spread }));
    if (this.#offer.synthesis && synthesis) parts.push(t(media === 'audio' ? 'analysis.generated-voice' : 'analysis.generated-face', { verdict: synthesis.text }));
    return parts.length > 0 ? t('analysis.of', { name, results: parts.join('; ') }) : '';
  }
}
