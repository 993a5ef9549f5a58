/** The chat panel. */
import { h } from './dom.js';
import { iconButton } from './fields.js';
import { clock, codeOf } from './format.js';
import { rest } from './session.js';
import { toast } from './toasts.js';
import { t } from './words.js';

const KEPT = 500;
/** Control learns a moment later than the page that a guest is in the room; until then it refuses the earlier chat. */
const NEWCOMER_WAITS_MS = [0, 250, 500, 1000, 2000, 4000];

export class Chat {
  element;
  unread = 0;
  #room;
  #messages = h('ol', { class: 'messages', 'aria-live': 'polite', 'aria-label': t('chat.messages') });
  #input;
  #to = h('select', { class: 'input', 'aria-label': t('chat.to') });
  #changed;
  /** @type {Set<string>} */
  #seen = new Set();

  /** @param {import('/sdk/parley.js').Room} room @param {{signal: AbortSignal, close: () => void, changed: () => void}} options */
  constructor(room, { signal, close, changed }) {
    this.#room = room;
    this.#changed = changed;
    this.#input = h('input', { class: 'input', 'aria-label': t('chat.message'), placeholder: t('chat.message'), maxlength: 2000, autocomplete: 'off' });
    this.element = h('aside', { class: 'panel panel-chat', 'aria-label': t('chat.label'), hidden: true },
      h('header', { class: 'panel-head' }, h('h2', {}, t('chat.label')), iconButton('close', t('action.close'), { onclick: close })),
      this.#messages,
      h('form', { class: 'compose', onsubmit: (/** @type {SubmitEvent} */ event) => this.#submit(event) },
        this.#to, h('div', { class: 'compose-line' }, this.#input, iconButton('send', t('action.send'), { type: 'submit', class: 'primary' }))));
    room.addEventListener('chat', ({ detail }) => this.#receive(detail), { signal });
    for (const type of ['participant-joined', 'participant-left', 'participant-updated', 'grants']) {
      room.addEventListener(type, () => this.#refresh(), { signal });
    }
    this.#refresh();
  }

  get shown() {
    return !this.element.hidden;
  }

  /** @param {boolean} shown */
  show(shown) {
    this.element.hidden = !shown;
    if (!shown) return;
    this.unread = 0;
    this.#changed();
    this.#messages.scrollTop = this.#messages.scrollHeight;
    this.#input.focus();
  }

  /** @param {SubmitEvent} event */
  #submit(event) {
    event.preventDefault();
    const text = this.#input.value.trim();
    if (text === '') return;
    if (this.#room.chat(text, this.#to.value || undefined)) this.#input.value = '';
    else toast(t('chat.not-sent'), 'problem');
  }

  /** Show what was said before we came. @param {string} meeting */
  async load(meeting) {
    for (const wait of NEWCOMER_WAITS_MS) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      try {
        const { messages } = await rest.get(`/meetings/${encodeURIComponent(meeting)}/messages`);
        for (const message of messages) this.#receive({ ...message, at: Date.parse(message.at) }, true);
        return;
      } catch (error) {
        // Whoever may not read it, or whose server forgot it, sees what is said from now on.
        if (codeOf(error) !== 'not_in_room') return;
      }
    }
  }

  /** @param {any} message @param {boolean} [past] */
  #receive(message, past = false) {
    if (message.id && this.#seen.has(message.id)) return;
    if (message.id) this.#seen.add(message.id);
    const own = message.participant === this.#room.participant;
    const near = this.#messages.scrollHeight - this.#messages.scrollTop - this.#messages.clientHeight < 80;
    const at = message.at ?? Date.now();
    const row = h('li', { class: own ? 'message own' : 'message', 'data-at': at },
      h('p', { class: 'message-head' }, h('strong', {}, own ? t('person.you-alone') : message.name ?? t('person.somebody')),
        message.to && h('span', { class: 'private' }, own ? this.#toWhom(message.to) : t('chat.to-you')),
        h('time', {}, clock(at))),
      h('p', { class: 'message-text' }, ...linked(message.text)));
    const later = past && [...this.#messages.children].find((other) => Number(other.dataset.at) > at);
    this.#messages.insertBefore(row, later || null);
    while (this.#messages.children.length > KEPT) this.#messages.firstElementChild.remove();
    if (near || own) this.#messages.scrollTop = this.#messages.scrollHeight;
    if (!this.shown && !own && !past) {
      this.unread += 1;
      this.#changed();
    }
  }

  /** @param {string} id */
  #toWhom(id) {
    const name = this.#room.roster.participants.get(id)?.name;
    return name === undefined ? t('chat.to-gone') : t('chat.to-name', { name });
  }

  #refresh() {
    const chosen = this.#to.value;
    const others = [...this.#room.roster.participants.values()].filter(({ id }) => id !== this.#room.participant);
    this.#to.replaceChildren(h('option', { value: '' }, t('chat.to-everybody')),
      ...others.map(({ id, name }) => h('option', { value: id }, t('chat.to-only', { name }))));
    if (others.some(({ id }) => id === chosen)) this.#to.value = chosen;
    this.#to.hidden = others.length === 0;
    this.#input.disabled = !this.#room.grants.chat;
    this.#input.placeholder = t(this.#room.grants.chat ? 'chat.message' : 'chat.closed');
  }
}

/** Web addresses become links; everything else stays text. @param {string} text */
function linked(text) {
  return text.split(/(https?:\/\/[^\s<>"]+)/).map((part, index) =>
    index % 2 === 1 ? h('a', { href: part, target: '_blank', rel: 'noopener noreferrer' }, part) : part);
}
