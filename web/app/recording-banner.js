/** Shown to everybody while a recording runs, with the choice to be in it or not. */
import { RECORDING, RECORDING_POLICIES } from './consents.js';
import { h, setText } from './dom.js';

export class RecordingBanner {
  element;
  #text = h('p');
  #agree = h('button', { type: 'button', class: 'button small primary', id: 'consent-agree' }, 'Record me');
  #refuse = h('button', { type: 'button', class: 'button small', id: 'consent-refuse' }, 'Not me');
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
    setText(this.#refuse, this.#consent ? (this.#room.recording.consent === 'required' ? 'Leave instead' : 'Stop recording me') : 'Attend unrecorded');
    setText(this.#agree, this.#answered ? 'Record me after all' : 'I agree');
  }

  #words() {
    const { stalled } = this.#room.recording;
    return stalled ? `The recording has stalled. ${stalled} It may miss what happens now.` : this.#going();
  }

  #going() {
    if (this.#consent) {
      const policy = RECORDING_POLICIES[this.#room.recording.consent ?? ''];
      return `This meeting is being recorded, including you.${policy ? ` ${policy}` : ''}`;
    }
    if (this.#answered) return 'This meeting is being recorded, but not you.';
    return `This meeting is being recorded. ${RECORDING.text}`;
  }
}
