/** Removed people, shown to hosts below the participants; hosts can let them back in. */
import { h } from './dom.js';
import { rest } from './session.js';
import { toast } from './toasts.js';
import { sentenceOf } from './format.js';
import { t } from './words.js';

export class Removed {
  element = h('section', { class: 'removed', 'aria-label': t('people.removed-label'), hidden: true });
  #meeting;

  /** @param {string} meeting its main room: removal from one room is removal from all */
  constructor(meeting) {
    this.#meeting = meeting;
  }

  /** Load the removed people; requires a host. */
  async refresh() {
    try {
      const { participants } = await rest.participants(this.#meeting);
      this.#show(participants.filter(({ removed }) => removed));
    } catch {
      // The panel reloads them when it opens; a lost connection is shown elsewhere.
    }
  }

  hide() {
    this.element.hidden = true;
  }

  /** @param {{participant: string, name: string}[]} people */
  #show(people) {
    this.element.hidden = people.length === 0;
    this.element.replaceChildren(h('h3', {}, t('people.removed')), ...people.map((one) => this.#row(one)));
  }

  /** @param {{participant: string, name: string}} person */
  #row({ participant, name }) {
    const letBack = async () => {
      try {
        await rest.readmitParticipant(this.#meeting, participant);
        toast(t('people.removed-may-join', { name }));
      } catch (error) {
        toast(sentenceOf(error), 'problem');
      }
      await this.refresh();
    };
    return h('div', { class: 'lobby-row', 'data-removed': participant }, h('span', {}, name),
      h('button', { type: 'button', class: 'button small', 'aria-label': t('people.removed-back-of', { name }), onclick: () => void letBack() }, t('people.removed-back')));
  }
}
