/** Polls, questions and the timer: a panel beside the call, loaded when it is first opened. */
import { arrange, h, setText } from './dom.js';
import { check, field, form, iconButton } from './fields.js';
import { sentenceOf } from './format.js';
import { icon } from './icons.js';
import { rest } from './session.js';
import { toast } from './toasts.js';
import { t } from './words.js';

/** The interval of polling votes, which are not announced to everybody, while the panel is open. */
const ASK_MS = 4_000;
const MINUTES = [1, 3, 5, 10, 15];
const MOST_OPTIONS = 10;

export class ActivitiesPanel {
  element;
  #call;
  #polls = h('div', { class: 'polls' });
  #questions = h('ol', { class: 'questions' });
  #noQuestions = h('p', { class: 'hint' }, t('questions.none'));
  #hostTools = h('div', { class: 'activity-tools', hidden: true });
  #stopTimer = h('button', { type: 'button', class: 'button small', hidden: true, onclick: () => void this.#do('put', 'timer', { seconds: null }) }, t('timer.stop'));
  /** The last content of each poll and question, with its element: unchanged elements are kept. @type {Map<string, {key: string, element: HTMLElement}>} */
  #shownAs = new Map();
  /** @type {ReturnType<typeof setInterval>|undefined} */
  #timer;

  /** @param {import('./call.js').Call} call @param {{signal: AbortSignal, close: () => void}} options */
  constructor(call, { signal, close }) {
    this.#call = call;
    this.#hostTools.append(this.#newPoll(), this.#newTimer());
    this.element = h('aside', { class: 'panel panel-activities', 'aria-label': t('activities.label'), hidden: true },
      h('header', { class: 'panel-head' }, h('h2', { tabindex: -1 }, t('activities.label')), iconButton('close', t('action.close'), { onclick: close })),
      h('div', { class: 'panel-body activities' }, this.#hostTools, this.#polls,
        h('section', { class: 'activity', 'aria-label': t('questions.title') }, h('h3', {}, t('questions.title')), this.#noQuestions, this.#questions, this.#ask())));
    call.room.addEventListener('shared', () => this.#refresh(), { signal });
    call.room.addEventListener('grants', () => this.#refresh(), { signal });
    signal.addEventListener('abort', () => clearInterval(this.#timer));
  }

  get shown() {
    return !this.element.hidden;
  }

  /** @param {boolean} shown */
  show(shown) {
    if (shown === this.shown) return;
    this.element.hidden = !shown;
    clearInterval(this.#timer);
    if (!shown) return;
    this.#timer = setInterval(() => void this.#refresh(), ASK_MS);
    void this.#refresh();
    this.element.querySelector('h2').focus();
  }

  get #base() {
    return `/meetings/${encodeURIComponent(this.#call.place.id)}`;
  }

  async #refresh() {
    if (!this.shown) return;
    try {
      this.#show(await rest.get(`${this.#base}/activities`));
    } catch {
      // The next poll follows soon; a lost connection is shown elsewhere.
    }
  }

  /** @param {'post'|'put'|'delete'} method @param {string} path @param {object} [body] */
  async #do(method, path, body) {
    try {
      await rest[method](`${this.#base}/${path}`, body);
      await this.#refresh();
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    }
  }

  /** @param {{polls: any[], questions: any[]}} activities */
  #show({ polls, questions }) {
    const { host } = this.#call.room.grants;
    this.#hostTools.hidden = !host;
    this.#stopTimer.hidden = !this.#call.room.shared.timer_ends_at;
    arrange(this.#polls, polls.map((poll) => this.#same(poll, host, () => this.#poll(poll, host))));
    arrange(this.#questions, questions.map((question) => this.#same(question, host, () => this.#question(question, host))));
    this.#noQuestions.hidden = questions.length > 0;
    const present = new Set([...polls, ...questions].map(({ id }) => id));
    for (const id of this.#shownAs.keys()) if (!present.has(id)) this.#shownAs.delete(id);
  }

  /** Rebuild an element only if its content changed: the one under the pointer or with the focus stays. @param {any} what @param {boolean} host @param {() => HTMLElement} make */
  #same(what, host, make) {
    const key = JSON.stringify([what, host]);
    const known = this.#shownAs.get(what.id);
    if (known?.key === key) return known.element;
    const focused = known?.element.contains(document.activeElement) ? document.activeElement?.getAttribute('data-do') : null;
    const element = make();
    this.#shownAs.set(what.id, { key, element });
    if (known && focused) {
      known.element.replaceWith(element);
      /** @type {HTMLElement|null} */ (element.querySelector(`[data-do="${focused}"]`))?.focus();
    }
    return element;
  }

  /** @param {any} poll @param {boolean} host @returns {HTMLElement} */
  #poll(poll, host) {
    const closed = poll.closed_at !== null;
    /** @param {number} index */
    const choose = (index) => {
      const own = new Set(poll.own ?? []);
      if (!poll.multiple) own.clear();
      if (!own.delete(index)) own.add(index);
      if (own.size > 0) void this.#do('post', `polls/${poll.id}/vote`, { options: [...own] });
    };
    const total = Math.max(1, poll.voters);
    const options = poll.options.map((/** @type {string} */ option, /** @type {number} */ index) => {
      const chosen = poll.own?.includes(index) ?? false;
      const count = poll.counts?.[index];
      const bar = h('span', { class: 'poll-bar' });
      bar.style.setProperty('--share', String((count ?? 0) / total));
      return h('li', {}, h('button', {
        type: 'button', class: 'poll-option', 'data-do': `option-${index}`, disabled: closed, 'aria-pressed': String(chosen), onclick: () => choose(index),
      }, bar, h('span', { class: 'poll-text' }, chosen && icon('check'), option), count !== undefined && h('span', { class: 'poll-count' }, t('poll.share', { count, share: count / total }))));
    });
    return h('section', { class: 'activity poll', 'data-poll': poll.id, 'aria-label': poll.question },
      h('h3', {}, poll.question),
      h('p', { class: 'hint' }, t(closed ? 'poll.closed' : poll.multiple ? 'poll.open-multiple' : 'poll.open', { voters: poll.voters })),
      h('ul', {}, ...options),
      host && h('div', { class: 'row-actions' },
        !closed && h('button', { type: 'button', class: 'button small', 'data-do': 'close', onclick: () => void this.#do('post', `polls/${poll.id}/close`) }, t('poll.close')),
        iconButton('trash', t('poll.delete', { question: poll.question }), { 'data-do': 'delete', onclick: () => void this.#do('delete', `polls/${poll.id}`) })));
  }

  /** @param {any} question @param {boolean} host @returns {HTMLElement} */
  #question(question, host) {
    const answered = question.answered_at !== null;
    return h('li', { class: answered ? 'question answered' : 'question', 'data-question': question.id },
      h('button', {
        type: 'button', class: 'question-vote', 'data-do': 'vote', 'aria-pressed': String(question.own), title: t('questions.vote'),
        'aria-label': t('questions.vote-of', { count: question.votes, text: question.text }),
        onclick: () => void this.#do('post', `questions/${question.id}/vote`, { wanted: !question.own }),
      }, icon('vote'), String(question.votes)),
      h('div', { class: 'question-body' }, h('p', {}, question.text),
        h('p', { class: 'hint' }, [question.name ?? t('questions.anonymous'), answered && t('questions.answered')].filter(Boolean).join(' · '))),
      host && iconButton('check', t(answered ? 'questions.reopen' : 'questions.answer', { text: question.text }), {
        'data-do': 'answer', 'aria-pressed': String(answered), onclick: () => void this.#do('put', `questions/${question.id}`, { answered: !answered }),
      }),
      (host || question.mine) && iconButton('trash', t('questions.delete', { text: question.text }), { 'data-do': 'delete', onclick: () => void this.#do('delete', `questions/${question.id}`) }));
  }

  #ask() {
    const text = field(t('questions.yours'), { name: 'question', required: true, maxlength: 500, autocomplete: 'off' });
    const anonymous = check(t('questions.without-name'), '', false);
    return form({
      action: t('questions.ask'), manner: '',
      submit: async () => {
        await rest.post(`${this.#base}/questions`, { text: text.input.value, anonymous: anonymous.input.checked });
        text.input.value = '';
        await this.#refresh();
      },
    }, text.element, anonymous.element);
  }

  #newPoll() {
    const question = field(t('poll.question'), { name: 'poll', required: true, maxlength: 500, autocomplete: 'off' });
    const multiple = check(t('poll.multiple'), '', false);
    const list = h('div', { class: 'poll-options' });
    const add = () => {
      const number = list.childElementCount + 1;
      list.append(field(t('poll.option', { number }), { required: number <= 2, maxlength: 200, autocomplete: 'off', oninput: grow }).element);
    };
    const inputs = () => /** @type {HTMLInputElement[]} */ ([...list.querySelectorAll('input')]);
    // There is always an empty field to write into.
    const grow = () => {
      if (inputs().every(({ value }) => value !== '') && inputs().length < MOST_OPTIONS) add();
    };
    add();
    add();
    const details = h('details', { class: 'more-options' }, h('summary', {}, t('poll.new')), form({
      action: t('poll.create'),
      submit: async () => {
        const options = inputs().map(({ value }) => value.trim()).filter(Boolean);
        await rest.post(`${this.#base}/polls`, { question: question.input.value, options, multiple: multiple.input.checked });
        question.input.value = '';
        list.replaceChildren();
        add();
        add();
        details.open = false;
        await this.#refresh();
      },
    }, question.element, list, multiple.element));
    return details;
  }

  #newTimer() {
    const title = h('p', { class: 'label' });
    setText(title, t('timer.start'));
    return h('div', { class: 'timers', role: 'group', 'aria-label': t('timer.start') }, title, h('div', { class: 'row-actions' },
      ...MINUTES.map((minutes) => h('button', {
        type: 'button', class: 'button small', 'data-minutes': minutes, onclick: () => void this.#do('put', 'timer', { seconds: minutes * 60 }),
      }, t('timer.minutes', { minutes }))), this.#stopTimer));
  }
}
