/** The chat panel. */
import { face } from './avatars.js';
import { arrange, h } from './dom.js';
import { iconButton } from './fields.js';
import { clock, hue, sentenceOf } from './format.js';
import { icon } from './icons.js';
import { messageReactions } from './message-reactions.js';
import { currentUser, rest } from './session.js';
import { sharedFile } from './shared-file.js';
import { toast } from './toasts.js';
import { t } from './words.js';

/** Maximum height of the compose field, in px. */
const TALLEST = 132;
const MOST_FILES = 10;

export class Chat {
  element;
  #call;
  #messages = h('ol', { class: 'messages', 'aria-live': 'polite', 'aria-label': t('chat.messages') });
  #input;
  #to = h('select', { class: 'input', 'aria-label': t('chat.to') });
  #form;
  /** True if we may upload files; guests may not. */
  #files = false;
  #attach;
  #picker = h('input', { type: 'file', multiple: true, hidden: true, 'aria-hidden': 'true', tabindex: -1, onchange: () => void this.#pick() });
  /** The message that we reply to. @type {import('./chat-log.js').Message|null} */
  #answers = null;
  #answering = h('p', { class: 'answering', hidden: true });
  /** @type {Map<import('./chat-log.js').Message, {element: HTMLElement, update: () => void}>} */
  #rows = new Map();
  /** The line above the messages that arrived while the chat was closed. */
  #fresh = h('li', { class: 'fresh' }, h('span', {}, t('chat.new')));
  /** @type {import('./chat-log.js').Message|null} */
  #firstNew = null;

  /** @param {import('./call.js').Call} call @param {{signal: AbortSignal, close: () => void}} options */
  constructor(call, { signal, close }) {
    this.#call = call;
    this.#input = h('textarea', {
      class: 'input', rows: 1, 'aria-label': t('chat.message'), placeholder: t('chat.message'), maxlength: 2000, autocomplete: 'off', oninput: () => this.#grow(),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
      onpaste: (/** @type {ClipboardEvent} */ event) => void this.#send(event.clipboardData?.files, event),
    });
    this.#attach = iconButton('attach', t('chat.attach'), { hidden: true, onclick: () => this.#picker.click() });
    this.#form = h('form', { class: 'compose', onsubmit: (/** @type {SubmitEvent} */ event) => this.#submit(event) },
      this.#answering, this.#to, h('div', { class: 'compose-line' }, this.#attach, this.#picker, this.#input, iconButton('send', t('action.send'), { type: 'submit', class: 'primary' })));
    this.element = h('aside', { class: 'panel panel-chat', 'aria-label': t('chat.label'), hidden: true },
      h('header', { class: 'panel-head' }, h('h2', {}, t('chat.label')), iconButton('close', t('action.close'), { onclick: close })),
      this.#messages, this.#form);
    for (const state of [call.chat, call.avatars]) state.addEventListener('change', () => this.#show(), { signal });
    for (const type of ['participant-joined', 'participant-left', 'participant-updated', 'grants']) {
      call.room.addEventListener(type, () => this.#refresh(), { signal });
    }
    // A file dropped anywhere on the panel is shared in the chat.
    this.element.addEventListener('dragover', (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes('Files') && event.preventDefault());
    this.element.addEventListener('drop', (/** @type {DragEvent} */ event) => void this.#send(event.dataTransfer?.files, event));
    void currentUser().catch(() => null).then((user) => {
      this.#files = user !== null;
      this.#refresh();
    });
    this.#refresh();
    this.#show();
  }

  get shown() {
    return !this.element.hidden;
  }

  /** @param {boolean} shown */
  show(shown) {
    const { chat } = this.#call;
    if (shown && !this.shown) this.#firstNew = chat.unread > 0 ? chat.messages.at(-chat.unread) ?? null : null;
    this.element.hidden = !shown;
    chat.watch(shown);
    if (!shown) return;
    if (this.#firstNew) this.#fresh.scrollIntoView({ block: 'nearest' });
    else this.#messages.scrollTop = this.#messages.scrollHeight;
    this.#input.focus();
  }

  /** Enter sends and Shift+Enter begins a new line, except while an input method composes text. @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === 'Escape' && this.#answers) {
      event.stopPropagation();
      return this.#answer(null);
    }
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#form.requestSubmit();
  }

  #grow() {
    this.#input.style.height = 'auto';
    this.#input.style.height = `${Math.min(TALLEST, this.#input.scrollHeight + 2)}px`;
  }

  /** @param {SubmitEvent} event */
  #submit(event) {
    event.preventDefault();
    const text = this.#input.value.trim();
    if (text === '') return;
    if (!this.#call.room.chat(text, this.#to.value || undefined, { replyTo: this.#answers?.id })) return toast(t('chat.not-sent'), 'problem');
    this.#input.value = '';
    this.#answer(null);
    this.#grow();
  }

  /** Begin or cancel a reply to a message. @param {import('./chat-log.js').Message|null} message */
  #answer(message) {
    this.#answers = message;
    this.#answering.hidden = !message;
    this.#answering.replaceChildren();
    if (!message) return;
    // A reply to a private message is private.
    if (message.to && message.participant !== this.#call.room.participant) this.#to.value = message.participant;
    this.#answering.append(icon('reply'), h('span', {}, t('chat.answering', { name: this.#nameOf(message) })),
      iconButton('close', t('chat.answer-not'), { onclick: () => this.#answer(null) }));
    this.#input.focus();
  }

  async #pick() {
    const files = [...this.#picker.files];
    this.#picker.value = '';
    await this.#send(files);
  }

  /** Upload files and share them in the chat. @param {Iterable<File>} [files] @param {Event} [event] the drop or paste */
  async #send(files = [], event) {
    const chosen = [...files].slice(0, MOST_FILES);
    if (chosen.length === 0 || !this.#files) return;
    event?.preventDefault();
    const to = this.#to.value || undefined;
    this.#attach.disabled = true;
    for (const file of chosen) {
      try {
        toast(t('chat.uploading', { name: file.name }));
        const { id, name } = await rest.upload(this.#call.place.id, file);
        if (!this.#call.room.chat(name, to, { file: id })) toast(t('chat.not-sent'), 'problem');
      } catch (error) {
        toast(sentenceOf(error), 'problem');
      }
    }
    this.#attach.disabled = false;
  }

  #show() {
    const { messages } = this.#call.chat;
    const near = this.#messages.scrollHeight - this.#messages.scrollTop - this.#messages.clientHeight < 80;
    const rows = messages.map((message) => this.#row(message));
    for (const message of this.#rows.keys()) if (!messages.includes(message)) this.#rows.delete(message);
    if (this.#firstNew && messages.includes(this.#firstNew)) rows.splice(messages.indexOf(this.#firstNew), 0, this.#fresh);
    arrange(this.#messages, rows);
    const own = messages.at(-1)?.participant === this.#call.room.participant;
    if (near || own) this.#messages.scrollTop = this.#messages.scrollHeight;
  }

  /** @param {import('./chat-log.js').Message} message */
  #row(message) {
    const known = this.#rows.get(message);
    if (known) {
      known.update();
      return known.element;
    }
    const own = message.participant === this.#call.room.participant;
    const first = message.reply_to ? this.#call.chat.messages.find(({ id }) => id === message.reply_to) : null;
    const reactions = messageReactions(this.#call.room, message);
    const avatar = h('span', { class: 'avatar avatar-tiny', 'aria-hidden': 'true' });
    avatar.style.setProperty('--hue', String(hue(message.participant)));
    const show = () => face(avatar, own ? this.#call.name : message.name ?? '', this.#call.avatars.of(message.participant));
    show();
    const row = h('li', { class: own ? 'message own' : 'message', 'data-message': message.id },
      first && h('button', { type: 'button', class: 'quote', onclick: () => this.#rows.get(first)?.element.scrollIntoView({ block: 'center' }) },
        h('strong', {}, this.#nameOf(first)), h('span', {}, first.text)),
      h('p', { class: 'message-head' }, avatar, h('strong', {}, this.#nameOf(message)),
        message.to && h('span', { class: 'private' }, own ? this.#toWhom(message.to) : t('chat.to-you')),
        h('time', {}, clock(message.at))),
      message.file ? sharedFile(message.file, message.text, this.#files) : h('p', { class: 'message-text' }, ...linked(message.text)),
      message.id && reactions.element,
      message.id && h('div', { class: 'message-actions' }, reactions.button,
        iconButton('reply', t('chat.reply-to', { name: this.#nameOf(message) }), { onclick: () => this.#answer(message) })));
    this.#rows.set(message, {
      element: row,
      update: () => {
        reactions.update();
        show();
      },
    });
    return row;
  }

  /** @param {import('./chat-log.js').Message} message */
  #nameOf({ participant, name }) {
    return participant === this.#call.room.participant ? t('person.you-alone') : name ?? t('person.somebody');
  }

  /** @param {string} id */
  #toWhom(id) {
    const name = this.#call.room.roster.participants.get(id)?.name;
    return name === undefined ? t('chat.to-gone') : t('chat.to-name', { name });
  }

  #refresh() {
    const { room } = this.#call;
    const chosen = this.#to.value;
    const others = [...room.roster.participants.values()].filter(({ id }) => id !== room.participant);
    this.#to.replaceChildren(h('option', { value: '' }, t('chat.to-everybody')),
      ...others.map(({ id, name }) => h('option', { value: id }, t('chat.to-only', { name }))));
    if (others.some(({ id }) => id === chosen)) this.#to.value = chosen;
    this.#to.hidden = others.length === 0;
    this.#attach.hidden = !this.#files || !room.grants.chat;
    this.#input.disabled = !room.grants.chat;
    for (const { update } of this.#rows.values()) update();
    this.#input.placeholder = t(room.grants.chat ? 'chat.message' : 'chat.closed');
  }
}

/** Turn web addresses into links; everything else stays text. @param {string} text */
function linked(text) {
  return text.split(/(https?:\/\/[^\s<>"]+)/).map((part, index) =>
    index % 2 === 1 ? h('a', { href: part, target: '_blank', rel: 'noopener noreferrer' }, part) : part);
}
