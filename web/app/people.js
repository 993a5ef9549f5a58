/** The participants panel, with a host's actions. */
import { face } from './avatars.js';
import { Breakouts } from './breakouts.js';
import { arrange, h } from './dom.js';
import { iconButton } from './fields.js';
import { hue } from './format.js';
import { HandQueue } from './gestures.js';
import { icon } from './icons.js';
import { Lobby } from './lobby.js';
import { Removed } from './removed.js';
import { language, t } from './words.js';

export class People {
  element;
  #room;
  #list = h('ul', { class: 'people' });
  #title = h('h2', {}, t('people.label'));
  #muteAll = h('button', { type: 'button', class: 'button', 'data-host': 'mute-all', hidden: true, onclick: () => void this.#act('mute-all') },
    icon('mic-off'), t('people.mute-all'));
  #controls = h('button', { type: 'button', class: 'button', 'data-host': 'controls', hidden: true, onclick: () => void this.#act('controls') },
    icon('shield'), t('people.controls'));
  #act;
  #owner;
  #avatars;
  #name;
  #removed;
  #lobby;
  breakouts;
  /** @type {Map<string, HTMLElement>} */
  #rows = new Map();

  /**
   * @param {import('/sdk/parley.js').Room} room
   * @param {{signal: AbortSignal, name: string, meeting: string, open: () => void, close: () => void, invite: (() => void)|null, changed: () => void,
   *   avatars: import('./call-avatars.js').CallAvatars, owner: () => boolean,
   *   act: (action: 'mute'|'release'|'mute-all'|'controls'|'more'|'rename'|'promote'|'admit'|'deny', participant?: any) => Promise<void>}} options
   */
  constructor(room, { signal, name, meeting, open, close, act, invite, changed, avatars, owner }) {
    this.#owner = owner;
    this.#avatars = avatars;
    avatars.addEventListener('change', () => this.#update(), { signal });
    this.#room = room;
    this.#act = async (/** @type {any} */ action, /** @type {any} */ participant) => {
      await act(action, participant);
      if (action === 'more') await this.#removed.refresh();
    };
    this.#name = name;
    this.#removed = new Removed(meeting);
    this.#lobby = new Lobby(room, meeting, { signal, decide: act, changed, open });
    this.breakouts = new Breakouts(room, meeting, { signal });
    this.element = h('aside', { class: 'panel panel-people', 'aria-label': t('people.label'), hidden: true },
      h('header', { class: 'panel-head' }, this.#title, iconButton('close', t('action.close'), { onclick: close })),
      h('div', { class: 'panel-body' }, this.#lobby.element, new HandQueue(room, signal, (participant) => void this.#act('promote', participant)).element, this.#list, this.breakouts.element, this.#removed.element),
      h('footer', { class: 'panel-foot' }, this.#muteAll, this.#controls,
        invite && h('button', { type: 'button', class: 'button', onclick: invite }, icon('invite'), t('people.invite'))));
    for (const type of ['participant-joined', 'participant-updated', 'participant-left', 'track-published', 'track-changed',
      'track-unpublished', 'grants', 'local-changed', 'shared']) room.addEventListener(type, () => this.#update(), { signal });
    this.#update();
  }

  /** The number of people waiting to be let in. */
  get waiting() {
    return this.#lobby.count;
  }

  get shown() {
    return !this.element.hidden;
  }

  /** @param {boolean} shown */
  show(shown) {
    this.element.hidden = !shown;
    if (!shown) return;
    this.#update();
    this.#lobby.seen();
    this.breakouts.refresh();
    if (this.#room.grants.host) void this.#removed.refresh();
    else this.#removed.hide();
  }

  #update() {
    if (!this.shown) return;
    this.#muteAll.hidden = this.#controls.hidden = !this.#room.grants.host;
    const self = this.#room.participant;
    const others = [...this.#room.roster.participants.values()].filter(({ id }) => id !== self);
    others.sort((a, b) => Number(a.attendee) - Number(b.attendee) || a.name.localeCompare(b.name, language()));
    const rows = others.map((participant) => this.#row(participant));
    rows.unshift(this.#ownRow());
    this.#title.textContent = t('people.title', { count: rows.length });
    arrange(this.#list, rows);
    for (const id of [...this.#rows.keys()]) if (!others.some((participant) => participant.id === id)) this.#rows.delete(id);
  }

  #ownRow() {
    const { published, grants } = this.#room;
    const note = grants.host ? t(this.#owner() ? 'people.host' : 'people.co-host') : grants.presenter ? t('people.presenter') : grants.publish.length === 0 ? t('people.attendee') : '';
    /** @param {string} source */
    const on = (source) => published.some((track) => track.source === source && !track.muted);
    const self = { id: this.#room.participant, name: this.#name };
    const rename = iconButton('edit', t('people.rename-own'), { 'data-person-action': 'rename', 'aria-haspopup': 'dialog', onclick: () => void this.#act('rename', self) });
    return this.#fill(h('li', { class: 'person' }), {
      id: this.#room.participant, picture: this.#avatars.of(this.#room.participant), name: this.#name, label: t('person.you', { name: this.#name }), note, microphone: on('microphone'), camera: on('camera'), attendee: grants.publish.length === 0,
    }, null, ...(this.#room.participant && (grants.host || grants.rename) ? [rename] : []));
  }

  /** @param {import('/sdk/parley.js').Participant} participant */
  #row(participant) {
    const tracks = this.#room.roster.tracksOf(participant.id);
    /** @param {string} source */
    const on = (source) => tracks.some((track) => track.source === source && !track.muted);
    const row = this.#rows.get(participant.id) ?? h('li', { class: 'person' });
    this.#rows.set(participant.id, row);
    const note = [!participant.connected && t('people.reconnecting'), participant.host && t(this.#owner() ? 'people.co-host' : 'people.host'), participant.presenter && t('people.presenter'), participant.attendee && t('people.attendee'), participant.kind === 'ingress' && t('people.stream'), participant.kind === 'phone' && t('people.phone')].filter(Boolean).join(', ');
    const { id, name, attendee } = participant;
    const state = { id, picture: this.#avatars.of(id), name, note, attendee, microphone: on('microphone'), camera: on('camera'), host: this.#room.grants.host };
    // Rebuilding a row under the pointer would lose the click and the focus.
    const key = JSON.stringify(state);
    if (row.dataset.key === key) return row;
    row.dataset.key = key;
    if (!this.#room.grants.host) return this.#fill(row, state);
    // A mute by a host lasts until a host releases it.
    const mute = state.microphone
      ? iconButton('mic', t('people.mute', { name: participant.name }), { 'data-host': 'mute', onclick: () => void this.#act('mute', participant) })
      : iconButton('mic-off', t('people.release', { name: participant.name }), { 'data-host': 'release', class: 'off', onclick: () => void this.#act('release', participant) });
    const more = iconButton('more', t('people.more', { name }), { 'data-host': 'more', 'aria-haspopup': 'dialog', onclick: () => void this.#act('more', participant) });
    return this.#fill(row, state, mute, more);
  }

  /** @param {HTMLElement} row @param {any} person @param {HTMLElement|null} [mute] @param {...HTMLElement} more */
  #fill(row, { id, picture, name, label = name, note, microphone, camera, attendee }, mute = null, ...more) {
    const avatar = h('span', { class: 'avatar avatar-small', 'aria-hidden': 'true' });
    face(avatar, name, picture);
    avatar.style.setProperty('--hue', String(hue(id)));
    row.replaceChildren(avatar,
      h('span', { class: 'person-name' }, h('span', {}, label), note && h('span', { class: 'hint' }, note)),
      ...(attendee ? [] : [
        stateIcon(camera ? 'camera' : 'camera-off', t(camera ? 'people.camera-on' : 'people.camera-off'), camera),
        mute ?? stateIcon(microphone ? 'mic' : 'mic-off', t(microphone ? 'people.microphone-on' : 'people.microphone-off'), microphone),
      ]),
      ...more);
    return row;
  }
}

/** @param {string} symbol @param {string} label @param {boolean} on */
function stateIcon(symbol, label, on) {
  return h('span', { class: on ? 'person-state' : 'person-state off', role: 'img', 'aria-label': label, title: label }, icon(symbol));
}
