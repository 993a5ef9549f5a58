/**
 * The recording of a meeting, or its live stream: a badge in the header of the call, and a banner with the choice to be in
 * it or not. The banner stays until it is answered; afterwards it folds into the badge, which opens it again.
 */
import { recordingPolicy } from './consents.js';
import { h, setText } from './dom.js';
import { known, t } from './words.js';

/** An answered banner folds after this time, unless somebody points at it. */
const FOLD_MS = 6_000;

export class RecordingBanner {
  element;
  badge;
  #text = h('p');
  #agree = h('button', { type: 'button', class: 'button small primary', id: 'consent-agree' });
  #refuse = h('button', { type: 'button', class: 'button small', id: 'consent-refuse' });
  #badgeText = h('span');
  #call;
  #open = false;
  /** What the banner said when it was last opened or folded. */
  #said = '';
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #fold;

  /** @param {import('./call.js').Call} call @param {AbortSignal} signal */
  constructor(call, signal) {
    this.#call = call;
    this.badge = h('button', {
      type: 'button', class: 'recording-badge', hidden: true, 'aria-controls': 'recording-banner', onclick: () => this.#show(!this.#open),
    }, h('span', { class: 'recording-dot', 'aria-hidden': 'true' }), this.#badgeText);
    this.element = h('div', { class: 'banner banner-recording', id: 'recording-banner', role: 'status', hidden: true },
      h('span', { class: 'recording-dot', 'aria-hidden': 'true' }), this.#text, h('div', { class: 'row-actions' }, this.#agree, this.#refuse));
    /** @param {boolean} granted */
    const answer = (granted) => {
      call.decide(granted);
      this.#update();
    };
    this.#agree.addEventListener('click', () => answer(true));
    this.#refuse.addEventListener('click', () => answer(false));
    call.room.addEventListener('recording', () => this.#update(), { signal });
    signal.addEventListener('abort', () => clearTimeout(this.#fold));
    this.#update();
  }

  #update() {
    const { active, broadcast_since: live, consent, stalled = '' } = this.#call.room.recording;
    const { answered, consent: agreed } = this.#call;
    const goes = active || Boolean(live);
    const words = this.#words();
    setText(this.#text, words);
    this.#agree.hidden = agreed;
    this.#refuse.hidden = !agreed && answered;
    setText(this.#refuse, t(!agreed ? (live ? 'recording.stay-out' : 'recording.refuse') : consent === 'required' ? 'recording.leave' : live ? 'recording.take-me-out' : 'recording.stop-me'));
    setText(this.#agree, t(!answered ? 'recording.agree' : live ? 'recording.show-after-all' : 'recording.agree-after-all'));
    this.element.dataset.stalled = this.badge.dataset.stalled = stalled ? 'yes' : 'no';
    this.element.dataset.asks = !answered && !stalled ? 'yes' : 'no';
    this.badge.hidden = !goes;
    setText(this.#badgeText, [active && t('recording.badge'), live && t('live.badge')].filter(Boolean).join(' · '));
    this.badge.title = words;
    this.badge.setAttribute('aria-label', `${this.#badgeText.textContent}: ${words}`);
    // Every change is shown; only the same state again is not.
    if (!goes) this.#show(false);
    else if (words !== this.#said) this.#show(true);
    this.#said = goes ? words : '';
  }

  /** @param {boolean} open */
  #show(open) {
    this.#open = open;
    this.element.hidden = !open;
    this.badge.setAttribute('aria-expanded', String(open));
    clearTimeout(this.#fold);
    if (open) this.#foldLater();
  }

  #foldLater() {
    this.#fold = setTimeout(() => {
      if (!this.#call.answered || this.#call.room.recording.stalled) return;
      if (this.element.matches(':hover, :focus-within')) this.#foldLater();
      else this.#show(false);
    }, FOLD_MS);
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
    return t('recording.asks', { what, text: t(live ? 'consent.broadcast-text' : 'consent.recording-asks') });
  }
}
