/** The banner while a recording runs, with the choice to be recorded or not. */
import { recordingPolicy } from './consents.js';
import { h, setText } from './dom.js';
import { known, t } from './words.js';

export class RecordingBanner {
  element;
  #text = h('p');
  #agree = h('button', { type: 'button', class: 'button small primary', id: 'consent-agree' });
  #refuse = h('button', { type: 'button', class: 'button small', id: 'consent-refuse' });
  #call;

  /** @param {import('./call.js').Call} call @param {AbortSignal} signal */
  constructor(call, signal) {
    this.#call = call;
    this.element = h('div', { class: 'banner banner-recording', role: 'status', hidden: true },
      h('span', { class: 'recording-dot', 'aria-hidden': 'true' }), this.#text, h('div', { class: 'row-actions' }, this.#agree, this.#refuse));
    /** @param {boolean} granted */
    const answer = (granted) => {
      call.decide(granted);
      this.#update();
    };
    this.#agree.addEventListener('click', () => answer(true));
    this.#refuse.addEventListener('click', () => answer(false));
    call.room.addEventListener('recording', () => this.#update(), { signal });
    this.#update();
  }

  #update() {
    this.element.hidden = !this.#call.room.recording.active;
    this.element.dataset.stalled = this.#call.room.recording.stalled ? 'yes' : 'no';
    setText(this.#text, this.#words());
    this.#agree.hidden = this.#call.consent;
    this.#refuse.hidden = !this.#call.consent && this.#call.answered;
    setText(this.#refuse, t(!this.#call.consent ? 'recording.refuse' : this.#call.room.recording.consent === 'required' ? 'recording.leave' : 'recording.stop-me'));
    setText(this.#agree, t(this.#call.answered ? 'recording.agree-after-all' : 'recording.agree'));
  }

  #words() {
    const { stalled, stalled_code: code } = this.#call.room.recording;
    if (!stalled) return this.#going();
    return t('recording.stalled', { reason: known(`recording.why-${code}`) ? t(`recording.why-${code}`, { reason: stalled }) : stalled });
  }

  #going() {
    if (this.#call.consent) {
      const policy = recordingPolicy(this.#call.room.recording.consent);
      return policy ? t('recording.on-policy', { policy }) : t('recording.on');
    }
    if (this.#call.answered) return t('recording.on-without');
    return t('recording.asks', { text: t('consent.recording-text') });
  }
}
