/**
 * Raised hands and reactions: a row of emojis above the toolbar, and a queue of hands above the participants, in the
 * order in which they were raised.
 */
import { h } from './dom.js';
import { icon } from './icons.js';
import { t } from './words.js';

export const REACTIONS = [['👍', 'like'], ['❤️', 'love'], ['😂', 'laugh'], ['😮', 'surprise'], ['👏', 'applause'], ['🎉', 'party']];

/** The emojis to choose from, which close after a choice. */
export class ReactionRow {
  element;

  /** @param {import('/sdk/parley.js').Room} room @param {() => void} changed */
  constructor(room, changed) {
    this.element = h('div', { class: 'reactions', role: 'group', 'aria-label': t('bar.react'), hidden: true },
      ...REACTIONS.map(([emoji, name]) => h('button', {
        type: 'button', class: 'reaction-button', 'aria-label': t(`reaction.${name}`), title: t(`reaction.${name}`), 'data-reaction': name,
        onclick: () => {
          room.react(emoji);
          this.show(false);
          changed();
        },
      }, emoji)));
  }

  get shown() {
    return !this.element.hidden;
  }

  /** @param {boolean} shown */
  show(shown) {
    this.element.hidden = !shown;
    if (shown) this.element.querySelector('button').focus();
  }
}

/** The participants with raised hands, earliest first. @param {import('/sdk/parley.js').Room} room @returns {import('/sdk/parley.js').Participant[]} */
export function raisedHands(room) {
  return [...room.roster.participants.values()].filter(({ hand }) => hand > 0).sort((a, b) => a.hand - b.hand);
}

export class HandQueue {
  element = h('section', { class: 'hands', 'aria-label': t('hands.title'), hidden: true });
  #room;
  #promote;
  #key = '';

  /**
   * @param {import('/sdk/parley.js').Room} room @param {AbortSignal} signal
   * @param {(participant: import('/sdk/parley.js').Participant) => void} promote let an attendee speak
   */
  constructor(room, signal, promote) {
    this.#room = room;
    this.#promote = promote;
    for (const type of ['participant-joined', 'participant-updated', 'participant-left', 'grants']) {
      room.addEventListener(type, () => this.#update(), { signal });
    }
    this.#update();
  }

  #update() {
    const raised = raisedHands(this.#room);
    const { host } = this.#room.grants;
    const key = JSON.stringify([host, raised.map(({ id, name, attendee }) => [id, name, attendee])]);
    if (key === this.#key) return;
    this.#key = key;
    this.element.hidden = raised.length === 0;
    this.element.replaceChildren(h('h3', {}, t('hands.title')), h('ol', {}, ...raised.map((participant) => this.#row(participant, host))));
  }

  /** @param {import('/sdk/parley.js').Participant} participant @param {boolean} host */
  #row(participant, host) {
    const { id, name } = participant;
    return h('li', { class: 'lobby-row', 'data-hand': id }, icon('hand'), h('span', {}, name),
      host && participant.attendee && h('button', {
        type: 'button', class: 'button small primary', 'aria-label': t('people.promote', { name }), onclick: () => this.#promote(participant),
      }, t('hands.promote')),
      host && id !== this.#room.participant && h('button', {
        type: 'button', class: 'button small', 'aria-label': t('hands.lower-of', { name }), onclick: () => this.#room.raiseHand(false, id),
      }, t('hands.lower')));
  }
}
