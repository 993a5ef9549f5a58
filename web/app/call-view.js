/**
 * The view of a call in one language: assembles the parts, and performs the actions of the bar and the keyboard.
 */
import { openScreen } from '/sdk/parley.js';
import { Bar } from './bar.js';
import { Captions } from './captions.js';
import { Chat } from './chat.js';
import { ConnectionView } from './connection-view.js';
import { ask } from './dialogs.js';
import { h, setText } from './dom.js';
import { duration, listed, sentenceOf } from './format.js';
import { canFloat, float } from './floating.js';
import { ReactionRow } from './gestures.js';
import { icon } from './icons.js';
import { mediaSession } from './media-session.js';
import { MutedSpeech } from './muted-speech.js';
import { badge, stayAwake } from './on-device.js';
import { People } from './people.js';
import { pushToTalk } from './push-to-talk.js';
import { RecordingBanner } from './recording-banner.js';
import { seal } from './seal.js';
import { rest } from './session.js';
import { actionOf } from './shortcuts.js';
import { Tiles } from './tiles.js';
import { Timer } from './timer.js';
import { toast } from './toasts.js';
import { t } from './words.js';

/** @type {Record<string, () => Promise<new (call: import('./call.js').Call, options: {signal: AbortSignal, close: () => void}) => {element: HTMLElement, show: (shown: boolean) => void}>>} */
const PANELS = {
  activities: async () => (await import('./activities.js')).ActivitiesPanel,
  notes: async () => (await import('./notes.js')).NotesPanel,
  board: async () => (await import('./board.js')).BoardPanel,
  transcript: async () => (await import('./live-transcript.js')).TranscriptPanel,
};

export class CallView {
  element;
  #call;
  #closed = new AbortController();
  #bar;
  #chat;
  #people;
  #captions;
  #reactions;
  #mutedSpeech;
  #badge;
  #tiles;
  #analysis = h('div');
  #title = h('h1', { class: 'call-title' });
  #timer;
  /** Panels, loaded when they are first opened. @type {Map<string, {element: HTMLElement, show: (shown: boolean) => void}>} */
  #loaded = new Map();
  /** @type {import('./statistics-view.js').StatisticsView|null} */
  #figures = null;
  #showsFigures = false;
  /** @type {(state: {microphone: boolean, camera: boolean}) => void} */
  #outside = () => undefined;
  /** Ends with our stay in a room of the meeting. */
  #place = new AbortController();
  #placeId;
  #panels = h('div', { class: 'panels' });
  #clock = h('span', { class: 'call-clock' });
  #soundBlocked = h('button', { type: 'button', class: 'banner banner-sound', hidden: true }, t('call.sound-blocked'));
  #sharing = h('div', { class: 'banner banner-sharing', hidden: true }, icon('screen'), h('p', {}, t('call.sharing')),
    h('button', { type: 'button', class: 'button small', onclick: () => void this.#act('screen') }, t('call.sharing-stop')));
  #lobbyNotice = h('div', { class: 'banner banner-waiting', role: 'status', hidden: true }, icon('people'), h('p', {}, t('call.waiting')));
  #differs = h('p');
  #differing = h('div', { class: 'banner banner-differs', role: 'status', hidden: true }, icon('warning'), this.#differs);
  #picture;
  #alone = h('div', { class: 'alone', hidden: true }, h('p', {}, t('invite.alone')),
    h('button', { type: 'button', class: 'button primary', onclick: () => void this.#invite() }, icon('invite'), t('invite.action')));
  #recordingBusy = false;
  /** False if the page that embeds the meeting leaves out the invite button. */
  #mayInvite;

  /** @param {import('./call.js').Call} call */
  constructor(call) {
    this.#call = call;
    this.#placeId = call.place.id;
    this.#mayInvite = !call.buttons || call.buttons.has('invite');
    const { room, media, meeting, view, name } = call;
    const { signal } = this.#closed;
    const changed = () => this.update();
    this.#badge = badge(signal);
    this.#bar = new Bar((action) => void this.#act(action), call.buttons);
    this.#chat = new Chat(call, { signal, close: () => this.openPanel('') });
    this.#people = new People(room, {
      signal, name, meeting: meeting.id, open: () => this.openPanel('people'), close: () => this.openPanel(''), act: (action, who) => this.#host(action, who), changed,
      avatars: call.avatars, owner: () => call.owner, invite: this.#mayInvite ? () => void this.#invite() : null,
    });
    this.#captions = new Captions(call, signal);
    this.#timer = new Timer(room, signal);
    const connection = new ConnectionView(room, signal, (quality) => this.#tiles.setOwnNetwork(quality));
    const recording = new RecordingBanner(call, signal);
    this.#reactions = new ReactionRow(room, changed);
    this.#mutedSpeech = new MutedSpeech(signal, () => toast(t('call.speaking-muted')));
    this.#tiles = new Tiles(call, { signal, showPeople: () => this.openPanel('people'), firstFrame: () => performance.mark('parley:first-frame') });
    this.#picture = h('div', { class: 'call-picture' }, this.#tiles.element, this.#alone, this.#captions.element, this.#reactions.element);
    this.element = h('main', { class: 'call' },
      h('header', { class: 'call-head' }, this.#title, recording.badge, this.#clock, this.#timer.element, call.encryption?.code && seal(call.encryption.code), connection.element),
      h('div', { class: 'banners' }, this.#lobbyNotice, connection.banner, this.#differing, this.#people.breakouts.banner, this.#people.breakouts.message, recording.element, this.#analysis, this.#sharing, this.#soundBlocked),
      h('div', { class: 'call-body' }, this.#picture, this.#chat.element, this.#people.element, this.#panels),
      this.#bar.element);
    for (const type of ['grants', 'local-changed', 'recording', 'captions-state', 'participant-joined', 'participant-updated', 'participant-left', 'connection', 'shared', 'track-media', 'track-changed']) {
      room.addEventListener(type, changed, { signal });
    }
    for (const state of [media, call.chat, view]) state.addEventListener('change', changed, { signal });
    call.audio.addEventListener('blocked', () => (this.#soundBlocked.hidden = false), { signal });
    this.#soundBlocked.addEventListener('click', () => void this.#hear());
    addEventListener('keydown', (event) => this.#key(event), { signal });
    stayAwake(signal);
    this.#outside = mediaSession(signal, (action) => void this.#act(action), 'documentPictureInPicture' in globalThis);
    pushToTalk(media, () => room.participant !== '' && !room.grants.muted.includes('microphone'), signal);
    const timer = setInterval(() => this.#tick(), 1000);
    signal.addEventListener('abort', () => clearInterval(timer));
    this.offerAnalysis();
    this.update();
    this.#tick();
  }

  /** Restore the open panel, once the element is in the page. */
  shown() {
    this.openPanel(this.#call.view.panel);
  }

  close() {
    this.#place.abort();
    this.#closed.abort();
    this.element.remove();
  }

  /** Ask for consent to analysis, if the server offers it. */
  async offerAnalysis() {
    const { room, analysis, meeting } = this.#call;
    const { signal } = this.#closed;
    if (!analysis) return;
    const { AnalysisBanner } = await import('./analysis-banner.js');
    if (!signal.aborted) this.#analysis.replaceChildren(new AnalysisBanner(room, rest, meeting.id, { signal, offer: analysis }).element);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === 'Escape' && !document.querySelector('dialog[open]')) return this.#dismiss();
    const action = actionOf(event);
    if (!action) return;
    event.preventDefault();
    void this.#act(action);
  }

  /** Close everything that overlays the call. */
  #dismiss() {
    if (this.#reactions.shown) {
      this.#reactions.show(false);
      this.element.querySelector('[data-action=react]')?.focus();
      this.update();
    } else if (this.#call.view.panel) {
      this.openPanel('');
    }
  }

  async #hear() {
    await this.#call.audio.resume();
    this.#soundBlocked.hidden = true;
  }

  #tick() {
    const { room } = this.#call;
    setText(this.#clock, room.openedAt ? duration(room.now() - room.openedAt) : '');
  }

  /** @param {string} action */
  async #act(action) {
    const { room, publishing, view, media, meeting } = this.#call;
    switch (action) {
      case 'microphone':
        return publishing.toggleMicrophone();
      case 'camera':
        return publishing.toggleCamera();
      case 'screen':
        return publishing.toggleScreen(openScreen);
      case 'hand':
        room.raiseHand(!this.#call.handUp);
        return;
      case 'react':
        this.#reactions.show(!this.#reactions.shown);
        return this.update();
      case 'layout':
        return void (await (await import('./view-dialog.js')).showView(view, { fullScreen: () => void fullScreen(), pictureInPicture: canFloat() ? () => void this.float() : null, translation: this.#call.translation }));
      case 'float':
        return this.float();
      case 'full-screen':
        return fullScreen();
      case 'page-next':
      case 'page-previous':
        return this.#tiles.turn(action === 'page-next' ? 1 : -1);
      case 'captions':
        return view.set({ captions: !view.captions });
      case 'statistics':
        return view.set({ statistics: !view.statistics });
      case 'chat':
      case 'people':
      case 'activities':
        return this.openPanel(view.panel === action ? '' : action);
      case 'notes':
      case 'board':
      case 'transcript':
        return meeting.e2ee ? undefined : this.openPanel(view.panel === action ? '' : action);
      case 'record':
        return this.#record();
      case 'devices':
        return this.openSettings();
      case 'effects':
        return media.support.devices ? void (await (await import('./effects-dialog.js')).showEffects(media)) : undefined;
      case 'help':
        return void (await (await import('./shortcut-sheet.js')).showShortcuts());
      default:
        return this.#leave();
    }
  }

  async openSettings() {
    const { room, media, audio, meeting } = this.#call;
    const { showSettings } = await import('./settings.js');
    await showSettings(media, (id) => void audio.setSpeaker(id).catch(() => undefined), () => this.#call.again(), room.captions.available && !meeting.e2ee ? this.#call : null);
  }

  /** Show the invitation. Parts that a call needs rarely are loaded on demand. */
  async #invite() {
    const { showInvite } = await import('./invite.js');
    await showInvite(this.#call.meeting, { phones: this.#call.room.grants.host });
  }

  /** Show the call in a small window. */
  async float() {
    try {
      await float(this.#call, { signal: this.#closed.signal, act: (action) => void this.#act(action), stateOf: (action) => this.#bar.stateOf(action) });
    } catch {
      toast(t('view.pip-failed'), 'problem');
    }
  }

  /** @param {string} panel '' for none */
  openPanel(panel) {
    const before = this.element.dataset.panel;
    this.#chat.show(panel === 'chat');
    this.#people.show(panel === 'people');
    this.element.dataset.panel = panel;
    // The closed panel had the focus: return it to the button that opened the panel.
    if (!panel && before) this.element.querySelector(`[data-action=${before}]`)?.focus();
    this.#call.view.set({ panel });
    for (const name of Object.keys(PANELS)) void this.#showLoaded(name, panel === name);
  }

  /** Load a panel when it is first opened. @param {string} name @param {boolean} shown */
  async #showLoaded(name, shown) {
    const { signal } = this.#place;
    if (shown && !this.#loaded.has(name)) {
      const Panel = await PANELS[name]();
      if (signal.aborted || this.#call.view.panel !== name || this.#loaded.has(name)) return;
      const panel = new Panel(this.#call, { signal, close: () => this.openPanel('') });
      this.#loaded.set(name, panel);
      this.#panels.append(panel.element);
    }
    this.#loaded.get(name)?.show(shown);
  }

  /** @param {boolean} shown */
  async #showFigures(shown) {
    this.#showsFigures = shown;
    this.#figures?.close();
    this.#figures = null;
    if (!shown) return;
    const { StatisticsView } = await import('./statistics-view.js');
    if (this.#closed.signal.aborted || !this.#showsFigures || this.#figures) return;
    this.#figures = new StatisticsView(this.#call, this.#tiles.element);
    this.#closed.signal.addEventListener('abort', () => this.#figures?.close());
  }

  /** In another room of the meeting, its panels begin anew. */
  #moved() {
    const { view, place } = this.#call;
    if (this.#placeId === place.id) return;
    this.#placeId = place.id;
    this.#place.abort();
    this.#place = new AbortController();
    for (const { element } of this.#loaded.values()) element.remove();
    this.#loaded.clear();
    if (view.panel in PANELS) void this.#showLoaded(view.panel, true);
  }

  async #record() {
    const { room, place } = this.#call;
    const { host, record } = room.grants;
    if (!(host || record) || this.#recordingBusy) return;
    this.#recordingBusy = true;
    this.update();
    try {
      if (room.recording.active) {
        await rest.stopRecording(place.id);
        toast(t('recording.kept'));
      } else await rest.startRecording(place.id);
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    } finally {
      this.#recordingBusy = false;
      this.update();
    }
  }

  async #leave() {
    const { meeting, room } = this.#call;
    let answer = 'leave';
    if (room.grants.host) {
      answer = await ask(t('call.leave-ask'), '', [
        { label: t('call.leave-leave'), value: 'leave', class: 'primary' },
        { label: t('call.leave-end'), value: 'end', class: 'danger' },
      ]);
    }
    if (answer === '') return;
    if (answer === 'end') {
      try {
        await rest.end(meeting.id);
      } catch (error) {
        toast(sentenceOf(error), 'problem');
        return;
      }
    }
    this.#call.over(answer === 'end' ? 'ended' : 'left');
  }

  /** @param {string} action @param {any} participant */
  async #host(action, participant) {
    try {
      await this.#hostActs(action, participant);
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    }
  }

  /** @param {string} action @param {any} participant @returns {Promise<unknown>} */
  async #hostActs(action, participant) {
    const { meeting, room } = this.#call;
    const here = this.#call.place.id;
    const at = `/meetings/${encodeURIComponent(here)}`;
    /** Mute a source until a host releases it, or release it; other sources are unchanged. @param {string} source @param {boolean} muted */
    const hold = (source, muted) => {
      const held = new Set(room.roster.tracksOf(participant.id).filter(({ mutedByHost }) => mutedByHost).map((track) => /** @type {string} */ (track.source)));
      held[muted ? 'add' : 'delete'](source);
      return rest.muteParticipant(here, participant.id, [...held]);
    };
    /** @param {string} role */
    const become = (role) => rest.put(`${at}/participants/${encodeURIComponent(participant.id)}/role`, { role });
    switch (action) {
      case 'controls':
        return (await import('./host-controls.js')).showHostControls(this.#call);
      case 'more': {
        const chosen = await (await import('./host-controls.js')).showParticipantActions(this.#call, participant);
        return chosen && this.#hostActs(chosen, participant);
      }
      case 'mute':
      case 'release':
        return hold('microphone', action === 'mute');
      case 'stop-video':
      case 'allow-video':
        return hold('camera', action === 'stop-video');
      case 'spotlight':
        return rest.put(`${at}/spotlight`, { participant: room.shared.spotlight === participant.id ? null : participant.id });
      case 'rename':
        return (await import('./rename.js')).showRename(participant.name, (name) => rest.renameParticipant(here, participant.id, name));
      case 'mute-all':
        return rest.muteAll(here);
      case 'admit':
      case 'deny':
        return rest.decideLobby(meeting.id, participant.id, action === 'admit');
      case 'promote':
        if (participant.hand) room.raiseHand(false, participant.id);
        return become('participant');
      case 'dismiss':
      case 'present-no-more':
        return become('participant');
      case 'present':
        return become('presenter');
      case 'demote':
        return become('viewer');
      case 'appoint':
        return become('co-host');
      default: {
        const answer = await ask(t('call.remove-ask', { name: participant.name }), t('call.remove-text'), [{ label: t('action.remove'), value: 'remove', class: 'danger' }]);
        return answer === 'remove' && rest.removeParticipant(here, participant.id);
      }
    }
  }

  /** @returns {number} 1 if polls or questions have changed since the panel was last open, else 0 */
  #freshActivities() {
    const { view, room } = this.#call;
    const { activities = 0 } = room.shared;
    if (view.panel === 'activities') view.seen = activities;
    return activities > view.seen ? 1 : 0;
  }

  /** Name the people whose frames do not decrypt. */
  #showDiffering() {
    const { room, differing } = this.#call;
    const names = new Set([...room.roster.tracks.values()].filter(({ mediaTrack, muted }) => mediaTrack && !muted && differing.has(mediaTrack.id))
      .map(({ participant }) => room.roster.participants.get(participant)?.name ?? t('person.somebody')));
    this.#differing.hidden = names.size === 0;
    if (names.size > 0) setText(this.#differs, t('seal.differs', { names: listed([...names]) }));
  }

  /** Show the current state. */
  update() {
    const { room, media, view, meeting, place, waits } = this.#call;
    const { grants, recording, captions, roster } = room;
    const joined = room.participant !== '';
    this.element.dataset.connection = room.connection.state;
    this.#moved();
    if (view.statistics !== this.#showsFigures) void this.#showFigures(view.statistics);
    setText(this.#title, place.id === meeting.id ? meeting.title : t('call.title-breakout', { room: place.title, meeting: meeting.title }));
    this.#lobbyNotice.hidden = !waits;
    this.element.dataset.waits = waits ? 'yes' : 'no';
    if (this.#captions.shown !== view.captions) this.#captions.show(view.captions);
    // The pictures leave room for captions, which then cover nobody.
    Object.assign(this.#picture.dataset, { captions: view.captions ? view.captionsAt : 'off', size: view.captionsSize });
    this.#showDiffering();
    /** @param {import('/sdk/parley.js').RemoteTrack['source']} source */
    const may = (source) => !joined || grants.publish.includes(source);
    const microphone = media.microphone !== null && media.microphoneOn;
    const bar = this.#bar;
    // Attendees may not publish.
    const watches = joined && grants.publish.length === 0;
    bar.set('microphone', {
      hidden: watches,
      on: microphone, symbol: microphone ? 'mic' : 'mic-off', label: t(grants.muted.includes('microphone') && !grants.unmute ? 'bar.muted-by-host' : microphone ? 'bar.mute' : 'bar.unmute'),
      disabled: !may('microphone') || !media.support.devices, alert: !microphone,
    });
    bar.set('camera', {
      hidden: watches,
      on: media.camera !== null, symbol: media.camera ? 'camera' : 'camera-off', label: t(media.camera ? 'bar.camera-stop' : 'bar.camera-start'),
      disabled: !may('camera') || !media.support.devices, alert: !media.camera,
    });
    this.#outside({ microphone, camera: media.camera !== null });
    const sharing = room.local('screen') !== null;
    this.#sharing.hidden = !sharing;
    bar.set('screen', { on: sharing, label: t(sharing ? 'bar.screen-stop' : 'bar.screen'), disabled: !may('screen'), hidden: watches || !media.support.screen });
    this.#mutedSpeech.listen(joined && media.microphone !== null && !media.microphoneOn ? media.microphone : null);
    this.#alone.hidden = !joined || !this.#mayInvite || roster.participants.size > 1 || this.#people.waiting > 0;
    bar.set('hand', { on: this.#call.handUp, label: t(this.#call.handUp ? 'bar.hand-lower' : 'bar.hand-raise'), disabled: !joined });
    bar.set('react', { on: this.#reactions.shown, label: t('bar.react'), disabled: !joined });
    bar.set('layout', { symbol: view.mode === 'grid' ? 'grid' : view.mode, label: t('bar.layout') });
    bar.set('captions', { on: view.captions, label: t(captions.available ? 'bar.captions' : 'bar.captions-none') });
    bar.set('chat', { on: view.panel === 'chat', label: t('bar.chat'), count: this.#call.chat.unread });
    bar.set('activities', { on: view.panel === 'activities', label: t('bar.activities'), disabled: !joined, count: this.#freshActivities() });
    // Everything that the server keeps of a meeting is readable to it: there is none where it must not read.
    bar.set('transcript', { on: view.panel === 'transcript', label: t('transcript.title'), disabled: !joined, hidden: !captions.available || meeting.e2ee });
    for (const name of ['notes', 'board']) bar.set(name, { on: view.panel === name, label: t(`bar.${name}`), disabled: !joined, hidden: meeting.e2ee });
    this.#badge(this.#call.chat.unread + this.#people.waiting);
    bar.set('people', { on: view.panel === 'people', label: t('bar.people', { count: Math.max(1, roster.participants.size) }), count: this.#people.waiting });
    bar.set('record', {
      on: recording.active, label: t(recording.active ? 'bar.record-stop' : 'bar.record'), hidden: !(grants.host || grants.record) || (!recording.active && meeting.recordable === false), disabled: this.#recordingBusy, alert: recording.active,
    });
    bar.set('devices', { label: t('bar.settings') });
    bar.set('leave', { label: t('bar.leave') });
    bar.set('help', { label: t('bar.help') });
  }
}

/** Enter or leave full screen. */
async function fullScreen() {
  try {
    await (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen());
  } catch {
    toast(t('view.full-screen-failed'), 'problem');
  }
}
