/** The meetings of an account: upcoming by day, past, and all, with a search and actions. */
import { ask } from './dialogs.js';
import { h } from './dom.js';
import { clock, dayName, dateTime, sentenceOf, soon } from './format.js';
import { icon } from './icons.js';
import { copyLink } from './copy-link.js';
import { iconButton, onTyped } from './fields.js';
import { menu } from './menu.js';
import { repeatOf } from './recurrence.js';
import { rest } from './session.js';
import { toast } from './toasts.js';
import { t } from './words.js';
import { clocksIn, ownZone } from './zones.js';

const LISTS = ['upcoming', 'past', 'all'];
const AGAIN_MS = 30_000;
/** A meeting is offered for joining this long before its start. */
const SOON_MS = 15 * 60_000;

/**
 * @typedef {{meeting: any, start: string|null}} Entry a meeting and its next start
 * @typedef {{title: string, entries: Entry[]}} Group
 */

export class MeetingLists {
  element;
  #context;
  #user;
  #shown = LISTS[0];
  #cursor = '';
  #loads = 0;
  #panel = h('div', { class: 'home-panel', role: 'tabpanel', id: 'meetings', 'aria-live': 'off' });
  #older = h('button', { type: 'button', class: 'button', hidden: true, onclick: () => void this.#more() }, t('home.older'));
  #search = h('input', {
    class: 'input', type: 'search', name: 'search', maxlength: 200, autocomplete: 'off', 'aria-label': t('home.search'), placeholder: t('home.search'),
  });
  /** @type {Map<string, HTMLButtonElement>} */
  #tabs = new Map();

  /** @param {import('./main.js').Context} context @param {any} user */
  constructor(context, user) {
    this.#context = context;
    this.#user = user;
    const asked = context.query.get('show') ?? '';
    if (LISTS.includes(asked)) this.#shown = asked;
    for (const name of LISTS) {
      this.#tabs.set(name, h('button', {
        type: 'button', role: 'tab', class: 'tab', id: `tab-${name}`, 'aria-controls': 'meetings', onclick: () => void this.#show(name),
      }, t(`home.${name}`)));
    }
    const tabs = h('div', { class: 'tabs', role: 'tablist', 'aria-label': t('home.your-meetings'), onkeydown: (/** @type {KeyboardEvent} */ event) => this.#onKey(event) },
      ...this.#tabs.values());
    this.element = h('section', { class: 'home-lists', 'aria-labelledby': 'meetings-title' },
      h('h2', { id: 'meetings-title', class: 'for-readers', tabindex: -1 }, t('home.your-meetings')),
      h('div', { class: 'home-tools' }, tabs, h('div', { class: 'search' }, icon('search'), this.#search)),
      this.#panel, this.#older);
    onTyped(this.#search, context.signal, () => this.#reload());
    const again = setInterval(() => void this.#keepUp(), AGAIN_MS);
    context.signal.addEventListener('abort', () => clearInterval(again));
    this.#mark();
  }

  /** Schedule a meeting, or edit a scheduled one. @param {any} [meeting] */
  async schedule(meeting) {
    const { showSchedule } = await import('./schedule.js');
    const made = await showSchedule(meeting);
    if (!made || this.#context.signal.aborted) return;
    if (!meeting) this.#shown = LISTS[0];
    this.#mark();
    await this.#reload();
    if (!meeting) await this.#invite(made);
  }

  async load() {
    this.#loads += 1;
    const mine = this.#loads;
    const { groups, next, first } = await this.#fetch();
    if (this.#context.signal.aborted || mine !== this.#loads) return;
    this.#offer(next);
    this.#panel.replaceChildren(...(groups.length > 0 ? groups.map((group) => this.#group(group)) : [this.#nothing(first)]));
  }

  async #reload() {
    try {
      await this.load();
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    }
  }

  /** Refresh, since meetings begin and end, but do not disturb what the user is doing. */
  async #keepUp() {
    const busy = document.hidden || document.querySelector('dialog') || this.#panel.contains(document.activeElement);
    if (!busy && this.#shown === LISTS[0]) await this.load().catch(() => undefined);
  }

  /** @returns {Promise<{groups: Group[], next: string|null, first: boolean}>} `first`: the account has no meetings at all */
  async #fetch() {
    const text = this.#search.value.trim();
    if (this.#shown !== LISTS[0]) {
      const { meetings, next } = await rest.get(this.#path(text));
      const entries = meetings.map((/** @type {any} */ meeting) => ({ meeting, start: null }));
      return { groups: entries.length > 0 ? [{ title: '', entries }] : [], next, first: false };
    }
    const [planned, running, latest] = await Promise.all(
      [rest.get('/my/meetings/upcoming'), rest.get('/meetings?status=active'), rest.meetings()]);
    const groups = upcoming(planned.meetings, running.meetings, latest.meetings, text.toLowerCase());
    return { groups, next: null, first: latest.meetings.length === 0 };
  }

  /** @param {string} text */
  #path(text) {
    const query = new URLSearchParams({ ...(text ? { search: text } : {}), ...(this.#cursor ? { cursor: this.#cursor } : {}) });
    return `${this.#shown === 'past' ? '/my/meetings/history' : '/meetings'}?${query}`;
  }

  async #more() {
    this.#older.disabled = true;
    try {
      const { meetings, next } = await rest.get(this.#path(this.#search.value.trim()));
      const rows = meetings.map((/** @type {any} */ meeting) => this.#row({ meeting, start: null }));
      this.#panel.querySelector('.meeting-list')?.append(...rows);
      this.#offer(next);
      rows[0]?.querySelector('a, button')?.focus();
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    }
    this.#older.disabled = false;
  }

  /** @param {string|null} next */
  #offer(next) {
    this.#cursor = next ?? '';
    this.#older.hidden = !next;
  }

  /** @param {string} name of LISTS */
  async #show(name) {
    this.#shown = name;
    this.#cursor = '';
    history.replaceState(null, '', name === LISTS[0] ? '/' : `/?show=${name}`);
    this.#mark();
    await this.#reload();
  }

  #mark() {
    this.#cursor = '';
    for (const [name, tab] of this.#tabs) {
      tab.setAttribute('aria-selected', String(name === this.#shown));
      tab.tabIndex = name === this.#shown ? 0 : -1;
    }
    this.#panel.setAttribute('aria-labelledby', `tab-${this.#shown}`);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const name = LISTS[(LISTS.indexOf(this.#shown) + step + LISTS.length) % LISTS.length];
    this.#tabs.get(name)?.focus();
    void this.#show(name);
  }

  /** The text shown if there are no meetings. @param {boolean} first */
  #nothing(first) {
    if (this.#search.value.trim()) {
      return h('div', { class: 'nothing' }, h('p', {}, t('home.no-match')),
        this.#shown !== 'all' && h('button', { type: 'button', class: 'button small', onclick: () => void this.#show('all') }, t('home.search-all')));
    }
    if (first) return steps();
    return h('div', { class: 'nothing' }, icon('calendar'), h('p', {}, t(`home.no-${this.#shown}`)));
  }

  /** @param {Group} group */
  #group({ title, entries }) {
    return h('div', { class: 'meeting-group' }, title && h('h3', {}, title),
      h('ul', { class: 'meeting-list' }, ...entries.map((entry) => this.#row(entry))));
  }

  /** @param {Entry} entry */
  #row({ meeting, start }) {
    const path = `/m/${encodeURIComponent(meeting.id)}`;
    const over = meeting.status === 'ended';
    const near = meeting.status === 'active' || (start !== null && Date.parse(start) - Date.now() < SOON_MS);
    return h('li', { class: `meeting-row ${near ? 'meeting-near' : ''}`, 'data-meeting': meeting.id },
      h('div', { class: 'meeting-time' }, ...times(meeting, start)),
      h('div', { class: 'meeting-row-text' },
        h(start === null && this.#shown !== LISTS[0] ? 'h3' : 'h4', { class: 'meeting-title' }, meeting.title),
        h('p', { class: 'hint' }, ...facts(meeting, start))),
      h('div', { class: 'row-actions' },
        iconButton('link', t('home.copy'), { 'aria-label': t('home.copy-of', { title: meeting.title }), onclick: () => void copyLink(path) }),
        menu(t('home.more-of', { title: meeting.title }), this.#actions(meeting, path)),
        !over && h('a', { class: `button ${near ? 'primary' : ''}`, href: path, 'aria-label': t(near ? 'home.join-of' : 'home.open-of', { title: meeting.title }) },
          t(near ? 'home.join' : 'home.open'))));
  }

  /** @param {any} meeting @param {string} path */
  #actions(meeting, path) {
    const hosts = meeting.role === 'host' || meeting.role === 'co-host';
    const over = meeting.status === 'ended';
    return [
      { symbol: 'link', label: t('home.copy'), act: () => copyLink(path) },
      hosts && !over && { symbol: 'edit', label: t('home.edit'), act: () => void this.schedule(meeting) },
      !over && { symbol: 'invite', label: t('home.invite'), act: () => void this.#invite(meeting) },
      meeting.scheduled_start && !over && { symbol: 'calendar', label: t('home.calendar'), href: `/api/v1/meetings/${encodeURIComponent(meeting.id)}/calendar.ics`, download: true },
      hosts && { symbol: 'film', label: t('recordings.title'), href: `${path}/recordings` },
      hosts && !over && { symbol: 'stop', label: t('home.end'), act: () => void this.#end(meeting) },
      meeting.host === this.#user.id && { symbol: 'trash', label: t('action.delete'), act: () => void this.#delete(meeting), danger: true },
    ].filter((action) => action !== false && action !== null);
  }

  /** @param {any} meeting */
  async #invite(meeting) {
    const { showInvite } = await import('./invite.js');
    await showInvite(meeting, { hosts: meeting.role === 'host' || meeting.role === 'co-host' });
  }

  /** @param {any} meeting */
  async #end(meeting) {
    const answer = await ask(t('home.end-ask', { title: meeting.title }), t('home.end-text'), [{ label: t('home.end'), value: 'end', class: 'danger' }]);
    if (answer === 'end') await this.#act(() => rest.end(meeting.id));
  }

  /** @param {any} meeting */
  async #delete(meeting) {
    const answer = await ask(t('home.delete-ask', { title: meeting.title }), t('home.delete-text'), [{ label: t('action.delete'), value: 'delete', class: 'danger' }]);
    if (answer === 'delete') await this.#act(() => rest.delete(`/meetings/${encodeURIComponent(meeting.id)}`));
  }

  /** @param {() => Promise<unknown>} act */
  async #act(act) {
    try {
      await act();
      this.#cursor = '';
      await this.load();
      // The row that had the focus was removed or replaced.
      /** @type {HTMLElement|null} */ (this.element.querySelector('#meetings-title'))?.focus();
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    }
  }
}

/**
 * The upcoming list: meetings in progress, scheduled ones by day, and those without a time.
 * @param {any[]} planned @param {any[]} running @param {any[]} latest @param {string} text that titles must contain
 * @returns {Group[]}
 */
function upcoming(planned, running, latest, text) {
  /** @param {any} meeting */
  const wanted = (meeting) => meeting.title.toLowerCase().includes(text);
  /** @type {Group[]} */
  const groups = [{ title: t('home.running'), entries: running.filter(wanted).map((meeting) => ({ meeting, start: null })) }];
  for (const { meeting, next_start: start } of planned) {
    if (meeting.status === 'active' || !wanted(meeting)) continue;
    const title = dayName(start);
    const group = groups.find((one) => one.title === title);
    if (group) group.entries.push({ meeting, start });
    else groups.push({ title, entries: [{ meeting, start }] });
  }
  const open = latest.filter((meeting) => meeting.status === 'scheduled' && !meeting.scheduled_start && wanted(meeting));
  groups.push({ title: t('home.no-time'), entries: open.map((meeting) => ({ meeting, start: null })) });
  return groups.filter(({ entries }) => entries.length > 0);
}

/** The time of a meeting, for its row. @param {any} meeting @param {string|null} start @returns {any[]} */
function times(meeting, start) {
  if (start !== null) {
    const minutes = meeting.scheduled_end ? Date.parse(meeting.scheduled_end) - Date.parse(meeting.scheduled_start) : 0;
    return [h('time', { datetime: start }, clock(start)), minutes > 0 && h('span', { class: 'hint' }, clock(Date.parse(start) + minutes))];
  }
  if (meeting.status === 'active') return [h('span', { class: 'live-dot', 'aria-hidden': 'true' }), h('time', { datetime: meeting.started_at }, clock(meeting.started_at ?? Date.now()))];
  const time = meeting.started_at ?? meeting.scheduled_start;
  return time ? [h('time', { datetime: time }, dateTime(time))] : [];
}

/** Further facts about a meeting, for its row. @param {any} meeting @param {string|null} start @returns {any[]} */
function facts(meeting, start) {
  const repeat = repeatOf(meeting.recurrence);
  const words = [
    start !== null && soon(start),
    start === null && meeting.status !== 'active' && !meeting.started_at && !meeting.scheduled_start && t('home.created', { time: dateTime(meeting.created_at) }),
    repeat !== 'none' && t(`repeat.${repeat}`),
    start !== null && elsewhere(meeting, start),
    meeting.passcode_required && t('home.passcode-set'),
    meeting.settings?.lobby && t('home.lobby-set'),
    meeting.role !== 'host' && t('home.invited'),
  ].filter(Boolean).join(' · ');
  const shown = start === null && meeting.status !== 'active' && (meeting.status !== 'scheduled' || meeting.scheduled_start);
  return [shown && h('span', { class: `status status-${meeting.status}` }, t(`meeting.status-${meeting.status}`)), shown && words && ' ', words];
}

/** The time in the meeting's time zone, if it differs from the user's. @param {any} meeting @param {string} start */
function elsewhere(meeting, start) {
  const zone = meeting.time_zone ?? 'UTC';
  const there = clocksIn(start, zone);
  return zone !== 'UTC' && there !== clocksIn(start, ownZone()) && t('home.elsewhere', { time: there.slice(11), zone: zone.replace(/_/g, ' ') });
}

/** The first steps, for a new account. */
function steps() {
  /** @param {string} symbol @param {string} name */
  const step = (symbol, name) => h('li', {}, h('span', { class: 'step-icon' }, icon(symbol)), h('strong', {}, t(`home.step-${name}`)), h('span', { class: 'hint' }, t(`home.step-${name}-text`)));
  return h('div', { class: 'nothing nothing-first' }, h('h3', {}, t('home.first')),
    h('ol', { class: 'steps' }, step('camera', 'start'), step('link', 'share'), step('film', 'keep')));
}
