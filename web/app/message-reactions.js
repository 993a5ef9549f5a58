/** Reactions to a chat message: its emojis with their counts, and a row to choose one. */
import { arrange, h, setText } from './dom.js';
import { iconButton } from './fields.js';
import { REACTIONS } from './gestures.js';
import { t } from './words.js';

/**
 * @param {import('/sdk/parley.js').Room} room @param {import('./chat-log.js').Message} message
 * @returns {{element: HTMLElement, button: HTMLElement, update: () => void}} `button` opens the row
 */
export function messageReactions(room, message) {
  /** @type {Map<string, HTMLElement>} */
  const chips = new Map();
  const list = h('div', { class: 'chips' });
  const picker = h('div', { class: 'emoji-picker', role: 'group', 'aria-label': t('chat.react'), hidden: true, onkeydown: onKey }, ...REACTIONS.map(([emoji, name]) => h('button', {
    type: 'button', class: 'reaction-button', 'aria-label': t(`reaction.${name}`), title: t(`reaction.${name}`), onclick: () => {
      toggle(emoji);
      show(false);
    },
  }, emoji)));
  const button = iconButton('smile', t('chat.react-to', { name: message.name ?? t('person.somebody') }), { 'aria-expanded': 'false', onclick: () => show(picker.hidden) });

  /** @param {string} emoji */
  function toggle(emoji) {
    const own = message.reactions.get(emoji)?.has(room.participant) ?? false;
    // In a private chat, the other person needs to know too.
    const other = message.participant === room.participant ? message.to : message.participant;
    room.react(emoji, { message: message.id, on: !own, to: message.to ? other : null });
  }

  /** @param {boolean} shown */
  function show(shown) {
    picker.hidden = !shown;
    button.setAttribute('aria-expanded', String(shown));
    if (shown) picker.querySelector('button').focus();
    else button.focus();
  }

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    if (event.key !== 'Escape') return;
    event.stopPropagation();
    show(false);
  }

  /** @param {string} emoji @param {Set<string>} people @returns {HTMLElement} */
  function chip(emoji, people) {
    const known = chips.get(emoji) ?? h('button', { type: 'button', class: 'chip', onclick: () => toggle(emoji) }, h('span', {}, emoji), h('span', {}));
    chips.set(emoji, known);
    const names = [...people].map((id) => (id === room.participant ? t('person.you-alone') : room.roster.participants.get(id)?.name ?? t('person.somebody')));
    const words = REACTIONS.find(([one]) => one === emoji)?.[1];
    known.title = new Intl.ListFormat(document.documentElement.lang).format(names);
    known.setAttribute('aria-label', t('chat.reacted', { emoji: words ? t(`reaction.${words}`) : emoji, count: people.size, names: known.title }));
    known.setAttribute('aria-pressed', String(people.has(room.participant)));
    setText(/** @type {Element} */ (known.lastElementChild), String(people.size));
    return known;
  }

  function update() {
    arrange(list, [...message.reactions].map(([emoji, people]) => chip(emoji, people)));
    button.hidden = !room.grants.chat;
  }
  update();
  return { element: h('div', { class: 'message-reactions' }, list, picker), button, update };
}
