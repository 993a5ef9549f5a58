/** Shown to everybody while a recording runs, with the choice to be in it or not. */
import { recordingPolicy } from './consents.js';
import { h, setText } from './dom.js';
import { t } from './words.js';

export class RecordingBanner {
  element;
  #text = h('p');
  #agree = h('button', { type: 'button', class: 'button small primary', id: 'consent-agree' });
  #refuse = h('button', { type: 'button', class: 'button small', id: 'consent-refuse' });
  #room;
  #consent;
  #answered = false;

  /**
   * @param {import('/sdk/parley.js').Room} room
   * @param {{signal: AbortSignal, consent: boolean, decide: (granted: boolean) => void}} options `consent`: as given before
   */
  constructor(room, { signal, consent, decide }) {
    this.#room = room;
    this.#consent = consent;
    this.#answered = consent;
    this.element = h('div', { class: 'banner banner-recording', role: 'status', hidden: true },
      h('span', { class: 'recording-dot', 'aria-hidden': 'true' }), this.#text, h('div', { class: 'row-actions' }, this.#agree, this.#refuse));
    /** @param {boolean} granted */
    const answer = (granted) => {
      this.#consent = granted;
      this.#answered = true;
      decide(granted);
      this.#update();
    };
    this.#agree.addEventListener('click', () => answer(true));
    this.#refuse.addEventListener('click', () => answer(false));
    room.addEventListener('recording', () => this.#update(), { signal });
  }

  #update() {
    this.element.hidden = !this.#room.recording.active;
    this.element.dataset.stalled = this.#room.recording.stalled ? 'yes' : 'no';
    setText(this.#text, this.#words());
    this.#agree.hidden = this.#consent;
    this.#refuse.hidden = !this.#consent && this.#answered;
    setText(this.#refuse, t(!this.#consent ? 'recording.refuse' : this.#room.recording.consent === 'required' ? 'recording.leave' : 'recording.stop-me'));
    setText(this.#agree, t(this.#answered ? 'recording.agree-after-all' : 'recording.agree'));
  }

  #words() {
    const { stalled } = this.#room.recording;
    return stalled ? t('recording.stalled', { reason: stalled }) : this.#going();
  }

  #going() {
    if (this.#consent) {
      const policy = recordingPolicy(this.#room.recording.consent);
      return policy ? t('recording.on-policy', { policy }) : t('recording.on');
    }
    if (this.#answered) return t('recording.on-without');
    return t('recording.asks', { text: t('consent.recording-text') });
  }
}
