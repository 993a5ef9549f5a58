/** The banner while a recording runs or the meeting goes out live, with the choice to be in it or not. */
import { recordingPolicy } from './consents.js';
import { h, setText } from './dom.js';
import { known, t } from './words.js';

export class RecordingBanner {
  element;
  #text = h('p');
  #live = h('span', { class: 'status status-live' }, t('live.badge'));
  #agree = h('button', { type: 'button', class: 'button small primary', id: 'consent-agree' });
  #refuse = h('button', { type: 'button', class: 'button small', id: 'consent-refuse' });
  #call;

  /** @param {import('./call.js').Call} call @param {AbortSignal} signal */
  constructor(call, signal) {
    this.#call = call;
    this.element = h('div', { class: 'banner banner-recording', role: 'status', hidden: true },
      h('span', { class: 'recording-dot', 'aria-hidden': 'true' }), this.#live, this.#text, h('div', { class: 'row-actions' }, this.#agree, this.#refuse));
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
    const { active, broadcast_since: live } = this.#call.room.recording;
    this.element.hidden = !active && !live;
    this.#live.hidden = !live;
    this.element.dataset.stalled = this.#call.room.recording.stalled ? 'yes' : 'no';
    setText(this.#text, this.#words());
    this.#agree.hidden = this.#call.consent;
    this.#refuse.hidden = !this.#call.consent && this.#call.answered;
    setText(this.#refuse, t(!this.#call.consent ? (live ? 'recording.stay-out' : 'recording.refuse') : this.#call.room.recording.consent === 'required' ? 'recording.leave' : live ? 'recording.take-me-out' : 'recording.stop-me'));
    setText(this.#agree, t(!this.#call.answered ? 'recording.agree' : live ? 'recording.show-after-all' : 'recording.agree-after-all'));
  }

  #words() {
    const { stalled, stalled_code: code } = this.#call.room.recording;
    if (!stalled) return this.#going();
    return t('recording.stalled', { reason: known(`recording.why-${code}`) ? t(`recording.why-${code}`, { reason: stalled }) : stalled });
  }

  #going() {
    const { active, broadcast_since: live, consent } = this.#call.room.recording;
    const what = t(live && active ? 'recording.what-both' : live ? 'recording.what-live' : 'recording.what-recorded');
    if (this.#call.consent) {
      const policy = recordingPolicy(consent);
      return policy ? t('recording.on-policy', { what, policy }) : t('recording.on', { what });
    }
    if (this.#call.answered) return t('recording.on-without', { what });
    return t('recording.asks', { what, text: t(live ? 'consent.broadcast-text' : 'consent.recording-text') });
  }
}
