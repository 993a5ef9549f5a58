/** The timer that hosts set for everybody, in the header of the call: shown while it runs and a moment after. */
import { h, setText } from './dom.js';
import { duration } from './format.js';
import { icon } from './icons.js';
import { t } from './words.js';

const LAST_SECONDS = 10;
/** The time that “time is up” is shown. */
const OVER_MS = 30_000;

export class Timer {
  #word = h('span');
  element = h('p', { class: 'call-timer', role: 'timer', hidden: true }, icon('timer'), this.#word);
  #room;

  /** @param {import('/sdk/parley.js').Room} room @param {AbortSignal} signal */
  constructor(room, signal) {
    this.#room = room;
    room.addEventListener('shared', () => this.#update(), { signal });
    const timer = setInterval(() => this.#update(), 500);
    signal.addEventListener('abort', () => clearInterval(timer));
    this.#update();
  }

  #update() {
    const { timer_ends_at: endsAt = 0 } = this.#room.shared;
    const left = endsAt - this.#room.now();
    this.element.hidden = endsAt === 0 || left < -OVER_MS;
    if (this.element.hidden) return;
    this.element.classList.toggle('ending', left < LAST_SECONDS * 1000);
    setText(this.#word, left > 0 ? duration(left + 999) : t('timer.over'));
  }
}
