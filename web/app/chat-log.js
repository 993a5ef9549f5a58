/**
 * The chat of a room while the page is open: earlier messages are fetched, new ones added.
 *
 * Events: `change`.
 *
 * @typedef {{id: string, participant: string, name: string, text: string, to: string|null, reply_to?: string|null, file?: string|null,
 *   at: number, reactions: Map<string, Set<string>>}} Message `reactions`: by emoji, the participants who put it there
 */
import { Emitter } from '/sdk/parley.js';
import { codeOf } from './format.js';
import { rest } from './session.js';

const KEPT = 500;
/** Control learns that a guest is in the room a moment later than the page; until then it refuses to send earlier messages. */
const NEWCOMER_WAITS_MS = [400, 500, 1000, 2000, 4000];

export class ChatLog extends Emitter {
  /** In chronological order. @type {Message[]} */
  messages = [];
  unread = 0;
  /** True while the chat is visible. */
  #watched = false;
  #room;

  /** @param {import('/sdk/parley.js').Room} room @param {AbortSignal} signal */
  constructor(room, signal) {
    super();
    this.#room = room;
    room.addEventListener('chat', ({ detail }) => this.#add({ ...detail, at: detail.at ?? Date.now(), reactions: new Map() }), { signal });
    room.addEventListener('message-reaction', ({ detail }) => this.#react(detail), { signal });
  }

  /** @param {boolean} watched */
  watch(watched) {
    this.#watched = watched;
    if (!watched || this.unread === 0) return;
    this.unread = 0;
    this.emit('change');
  }

  /** Fetch the messages from before we joined. @param {string} meeting */
  async load(meeting) {
    for (const wait of NEWCOMER_WAITS_MS) {
      await new Promise((resolve) => void setTimeout(resolve, wait));
      try {
        const { messages } = await rest.get(`/meetings/${encodeURIComponent(meeting)}/messages`);
        for (const message of messages) this.#add({ ...message, at: Date.parse(message.at), reactions: reactionsOf(message) }, true);
        return;
      } catch (error) {
        // If we are not allowed to read them, or they are no longer stored, the chat begins here.
        if (codeOf(error) !== 'not_in_room') return;
      }
    }
  }

  /** @param {Message} message @param {boolean} [past] */
  #add(message, past = false) {
    const known = message.id && this.messages.find(({ id }) => id === message.id);
    if (known) {
      if (!past) return;
      known.reactions = message.reactions;
      this.emit('change');
      return;
    }
    const later = past ? this.messages.findIndex(({ at }) => at > message.at) : -1;
    this.messages.splice(later < 0 ? this.messages.length : later, 0, message);
    if (this.messages.length > KEPT) this.messages.shift();
    if (!past && !this.#watched && message.participant !== this.#room.participant) this.unread += 1;
    this.emit('change');
  }
  /** @param {{message: string, participant: string, emoji: string, on: boolean}} reaction */
  #react({ message, participant, emoji, on }) {
    const reactions = this.messages.find(({ id }) => id === message)?.reactions;
    if (!reactions) return;
    const people = reactions.get(emoji) ?? new Set();
    if (on) reactions.set(emoji, people.add(participant));
    else if (people.delete(participant) && people.size === 0) reactions.delete(emoji);
    this.emit('change');
  }
}

/** @param {{reactions?: {emoji: string, participants: string[]}[]}} message as the server keeps it @returns {Message['reactions']} */
function reactionsOf({ reactions = [] }) {
  return new Map(reactions.map(({ emoji, participants }) => [emoji, new Set(participants)]));
}
