/** A call: puts the room, the devices and the views together. */
import { AudioOutput, Encryption, Room, admission, openScreen } from '/sdk/parley.js';
import { Bar } from './bar.js';
import { Breakouts } from './breakouts.js';
import { Captions } from './captions.js';
import { Chat } from './chat.js';
import { ConnectionView } from './connection-view.js';
import { CAPTIONS, RECORDING } from './consents.js';
import { ask, showHelp } from './dialogs.js';
import { h, setText } from './dom.js';
import { codeOf, duration, refusal, sentenceOf } from './format.js';
import { HandQueue, ReactionRow } from './gestures.js';
import { icon } from './icons.js';
import { Lobby } from './lobby.js';
import { MutedSpeech } from './muted-speech.js';
import { announcePeople } from './notices.js';
import { People } from './people.js';
import { attendance, preferences, remember, rememberAttendance } from './preferences.js';
import { Publishing } from './publishing.js';
import { RecordingBanner } from './recording-banner.js';
import { Removed } from './removed.js';
import { rest } from './session.js';
import { actionOf } from './shortcuts.js';
import { showStreamKeys } from './stream-keys.js';
import { Tiles } from './tiles.js';
import { toast } from './toasts.js';
import { t } from './words.js';

/**
 * @typedef {{meeting: any, media: import('./local-media.js').LocalMedia, entry: import('./prejoin.js').Entry, signal: AbortSignal,
 *   early?: () => import('/sdk/parley.js').EarlySocket|null, refused: (sentence: string) => void, over: (code: string, reason?: string) => void}} CallOptions
 * @param {HTMLElement} page @param {CallOptions} options
 */
export function showCall(page, options) {
  const call = new Call(options);
  page.replaceChildren(call.element);
  document.body.className = 'in-call';
  void call.join();
}

class Call {
  element;
  #options;
  #room;
  #publishing;
  #audio;
  #bar;
  #chat;
  #lobby;
  #breakouts;
  /** The room that we are in: the meeting's own, or one of its breakout rooms. */
  #place;
  #people;
  #removed;
  #captions;
  #analysis = h('div');
  #title = h('h1', { class: 'call-title' });
  #clock = h('span', { class: 'call-clock' });
  #soundBlocked = h('button', { type: 'button', class: 'banner banner-sound', hidden: true }, t('call.sound-blocked'));
  #sharing = h('div', { class: 'banner banner-sharing', hidden: true }, icon('screen'), h('p', {}, t('call.sharing')),
    h('button', { type: 'button', class: 'button small', onclick: () => void this.#act('screen') }, t('call.sharing-stop')));
  #lobbyNotice = h('div', { class: 'banner banner-waiting', role: 'status', hidden: true }, icon('people'),
    h('p', {}, t('call.waiting')));
  #alone = h('div', { class: 'alone', hidden: true }, h('p', {}, t('invite.alone')),
    h('button', { type: 'button', class: 'button primary', onclick: () => void this.#invite() }, icon('invite'), t('invite.action')));
  #reactions;
  #mutedSpeech;
  #tiles;
  #recordingBusy = false;
  /** Whoever comes back after a lost connection is as muted as before. */
  #entered = false;

  /** @param {CallOptions} options */
  constructor(options) {
    this.#options = options;
    const { meeting, entry, media, signal } = options;
    this.#place = meeting;
    performance.mark('parley:join');
    this.#room = new Room({
      codec: meeting.codec,
      signaling: { door: meeting.webtransport, early: options.early?.() },
      ...(entry.words ? { encryption: Encryption.fromPassphrase(entry.words, meeting.id) } : {}),
      admit: admission(rest, meeting.id, this.#who(), {
        signal,
        admitted: (answer) => this.#admitted(answer),
        waiting: (waits) => (this.#lobbyNotice.hidden = !waits),
      }),
    });
    this.#publishing = new Publishing(this.#room, media, signal);
    this.#audio = new AudioOutput(this.#room);
    this.#bar = new Bar((action) => void this.#act(action));
    const name = entry.name || t('person.you-alone');
    this.#chat = new Chat(this.#room, { signal, close: () => this.#openPanel(''), changed: () => this.#update() });
    this.#lobby = new Lobby(this.#room, meeting.id, { signal, decide: (action, who) => this.#host(action, who), changed: () => this.#update() });
    this.#breakouts = new Breakouts(this.#room, meeting.id, { signal });
    this.#removed = new Removed(meeting.id);
    this.#people = new People(this.#room, {
      signal, name, removed: this.#removed, lobby: h('div', {}, this.#lobby.element, new HandQueue(this.#room, signal).element), breakouts: this.#breakouts.element, close: () => this.#openPanel(''), act: (action, who) => void this.#host(action, who), invite: () => void this.#invite(),
      streamKeys: () => void showStreamKeys(meeting.id),
    });
    this.#captions = new Captions(this.#room, { signal, name });
    const connection = new ConnectionView(this.#room, signal);
    const recording = new RecordingBanner(this.#room, {
      signal, consent: entry.consent.recording, decide: (granted) => this.#room.setConsent({ text: RECORDING.version, recording: granted }),
    });
    this.#reactions = new ReactionRow(this.#room, () => this.#update());
    this.#mutedSpeech = new MutedSpeech(signal, () => toast(t('call.speaking-muted')));
    const tiles = this.#tiles = new Tiles(this.#room, media, {
      name, signal, showPeople: () => this.#openPanel('people'), firstFrame: () => performance.mark('parley:first-frame'), changed: () => this.#update(),
    });
    setText(this.#title, meeting.title);
    this.element = h('main', { class: 'call' },
      h('header', { class: 'call-head' }, this.#title, this.#clock, connection.element),
      h('div', { class: 'banners' }, this.#lobbyNotice, connection.banner, this.#breakouts.banner, recording.element, this.#analysis, this.#sharing, this.#soundBlocked),
      h('div', { class: 'call-body' }, h('div', { class: 'call-picture' }, tiles.element, this.#alone, this.#captions.element, this.#reactions.element),
        this.#chat.element, this.#people.element),
      this.#bar.element);
    announcePeople(this.#room, signal);
    this.#listen();
    this.#captions.show(preferences().captionsShown);
    this.#update();
    // For the console and for measurements: statistics are read from here.
    Object.assign(globalThis, { parley: { room: this.#room } });
  }

  async join() {
    const { entry, refused } = this.#options;
    this.#room.setConsent({ text: RECORDING.version, recording: entry.consent.recording });
    this.#room.setConsent({ text: CAPTIONS.version, captions: entry.consent.captions });
    try {
      await this.#publishing.start();
      await this.#room.join();
      void this.#offerAnalysis();
    } catch (error) {
      if (codeOf(error) === 'passcode_required') rememberAttendance(this.#options.meeting.id, {});
      if (!this.#options.signal.aborted) refused(sentenceOf(error));
    }
  }

  /** Ask for consent to analysis where the server does any; elsewhere nothing of it is even loaded. */
  async #offerAnalysis() {
    const { meeting, signal } = this.#options;
    const offer = await rest.get('/ai/analysis').catch(() => ({}));
    if (signal.aborted || !(offer.emotion || offer.synthesis)) return;
    const { AnalysisBanner } = await import('./analysis-banner.js');
    this.#analysis.append(new AnalysisBanner(this.#room, rest, meeting.id, { signal, offer }).element);
  }

  #who() {
    const { meeting, entry } = this.#options;
    const before = attendance(meeting.id);
    return {
      ...(entry.name ? { name: entry.name } : {}),
      ...(entry.passcode ? { passcode: entry.passcode } : {}),
      ...(before.rejoin_secret ? { rejoin_secret: before.rejoin_secret } : {}),
    };
  }

  /** @param {any} answer */
  #admitted(answer) {
    const { meeting, media } = this.#options;
    rememberAttendance(meeting.id, { rejoin_secret: answer.rejoin_secret });
    if (answer.start_muted && !this.#entered && media.microphoneOn) {
      media.startMuted();
      toast(t('call.joined-muted'));
    }
    this.#entered = true;
    this.#place = answer.meeting ?? meeting;
    setText(this.#title, this.#place.id === meeting.id ? meeting.title : t('call.title-breakout', { room: this.#place.title, meeting: meeting.title }));
  }

  #listen() {
    const { signal, media } = this.#options;
    const room = this.#room;
    for (const type of ['grants', 'local-changed', 'recording', 'captions-state', 'participant-joined', 'participant-updated', 'participant-left']) {
      room.addEventListener(type, () => this.#update(), { signal });
    }
    media.addEventListener('change', () => this.#update(), { signal });
    room.addEventListener('connection', ({ detail }) => this.#connectionChanged(detail), { signal });
    room.addEventListener('problem', ({ detail }) => toast(refusal(detail.code, detail.detail), 'problem'), { signal });
    this.#audio.addEventListener('blocked', () => (this.#soundBlocked.hidden = false));
    this.#soundBlocked.addEventListener('click', () => void this.#hear());
    addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && !document.querySelector('dialog[open]')) return this.#dismiss();
      const action = actionOf(event);
      if (!action) return;
      event.preventDefault();
      void this.#act(action);
    }, { signal });
    addEventListener('pagehide', () => room.leave(), { signal });
    const timer = setInterval(() => this.#tick(), 1000);
    signal.addEventListener('abort', () => {
      clearInterval(timer);
      this.#audio.close();
      room.leave();
      rest.forgetMeeting();
    });
    void this.#audio.setSpeaker(preferences().speaker).catch(() => undefined);
  }

  /** Close what lies over the call. */
  #dismiss() {
    if (this.#reactions.shown) {
      this.#reactions.show(false);
      this.element.querySelector('[data-action=react]')?.focus();
      this.#update();
    } else if (this.element.dataset.panel) {
      this.#openPanel('');
    }
  }

  async #hear() {
    await this.#audio.resume();
    this.#soundBlocked.hidden = true;
  }

  /** @param {import('/sdk/parley.js').ConnectionState} connection */
  #connectionChanged({ state, code, reason }) {
    this.element.dataset.connection = state;
    if (state === 'connected') void this.#chat.load(this.#place.id);
    this.#update();
    if (state === 'closed' && this.#room.participant) this.#options.over(code ?? 'left', reason);
  }

  #tick() {
    setText(this.#clock, this.#room.openedAt ? duration(Date.now() - this.#room.openedAt) : '');
  }

  /** @param {string} action */
  async #act(action) {
    switch (action) {
      case 'microphone':
        return this.#publishing.toggleMicrophone();
      case 'camera':
        return this.#publishing.toggleCamera();
      case 'screen':
        return this.#publishing.toggleScreen(openScreen);
      case 'hand':
        this.#room.raiseHand(!this.#handUp);
        return;
      case 'react':
        this.#reactions.show(!this.#reactions.shown);
        return this.#update();
      case 'layout':
        return this.#tiles.setMode(this.#tiles.mode === 'grid' ? 'speaker' : 'grid');
      case 'captions':
        this.#captions.show(!this.#captions.shown);
        remember({ captionsShown: this.#captions.shown });
        return this.#update();
      case 'chat':
        return this.#openPanel(this.#chat.shown ? '' : 'chat');
      case 'people':
        return this.#openPanel(this.#people.shown ? '' : 'people');
      case 'record':
        return this.#record();
      case 'devices':
        return void (await (await import('./settings.js')).showSettings(this.#options.media, (id) => void this.#audio.setSpeaker(id).catch(() => undefined)));
      case 'help':
        return void (await showHelp());
      default:
        return this.#leave();
    }
  }

  /** What is needed once or never in a call is loaded then. */
  async #invite() {
    const { showInvite } = await import('./invite.js');
    await showInvite(this.#options.meeting);
  }

  get #handUp() {
    return (this.#room.roster.participants.get(this.#room.participant)?.hand ?? 0) > 0;
  }

  /** @param {string} panel */
  #openPanel(panel) {
    const before = this.element.dataset.panel;
    this.#chat.show(panel === 'chat');
    this.#people.show(panel === 'people');
    this.element.dataset.panel = panel;
    if (this.#people.shown) this.#breakouts.refresh();
    // The focus was in what is gone now: it goes back to where it came from.
    if (!panel && before) this.element.querySelector(`[data-action=${before}]`)?.focus();
    this.#update();
  }

  async #record() {
    const { host, record } = this.#room.grants;
    if (!(host || record) || this.#recordingBusy) return;
    this.#recordingBusy = true;
    this.#update();
    try {
      if (this.#room.recording.active) await rest.stopRecording(this.#place.id);
      else await rest.startRecording(this.#place.id);
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    } finally {
      this.#recordingBusy = false;
      this.#update();
    }
  }

  async #leave() {
    const { meeting, over } = this.#options;
    let answer = 'leave';
    if (this.#room.grants.host) {
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
    over(answer === 'end' ? 'ended' : 'left');
  }

  /** @param {string} action @param {any} participant */
  async #host(action, participant) {
    const { meeting } = this.#options;
    const here = this.#place.id;
    try {
      if (action === 'mute') return void (await rest.muteParticipant(here, participant.id, ['microphone']));
      if (action === 'release') return void (await rest.muteParticipant(here, participant.id, []));
      if (action === 'mute-all') return void (await rest.muteAll(here));
      if (action === 'admit' || action === 'deny') return void (await rest.decideLobby(meeting.id, participant.id, action === 'admit'));
      const answer = await ask(t('call.remove-ask', { name: participant.name }), t('call.remove-text'), [{ label: t('action.remove'), value: 'remove', class: 'danger' }]);
      if (answer !== 'remove') return;
      await rest.removeParticipant(here, participant.id);
      await this.#removed.refresh();
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    }
  }

  #update() {
    const { media } = this.#options;
    const { grants, recording, captions, roster } = this.#room;
    const joined = this.#room.participant !== '';
    /** @param {import('/sdk/parley.js').RemoteTrack['source']} source */
    const may = (source) => !joined || grants.publish.includes(source);
    const microphone = media.microphone !== null && media.microphoneOn;
    const bar = this.#bar;
    bar.set('microphone', {
      on: microphone, symbol: microphone ? 'mic' : 'mic-off', label: t(grants.muted.includes('microphone') ? 'bar.muted-by-host' : microphone ? 'bar.mute' : 'bar.unmute'),
      disabled: !may('microphone') || !media.support.devices, alert: !microphone,
    });
    bar.set('camera', {
      on: media.camera !== null, symbol: media.camera ? 'camera' : 'camera-off', label: t(media.camera ? 'bar.camera-stop' : 'bar.camera-start'),
      disabled: !may('camera') || !media.support.devices, alert: !media.camera,
    });
    const sharing = this.#room.local('screen') !== null;
    this.#sharing.hidden = !sharing;
    bar.set('screen', { on: sharing, label: t(sharing ? 'bar.screen-stop' : 'bar.screen'), disabled: !may('screen'), hidden: !media.support.screen });
    this.#mutedSpeech.listen(joined && media.microphone !== null && !media.microphoneOn ? media.microphone : null);
    this.#alone.hidden = !joined || roster.participants.size > 1;
    bar.set('hand', { on: this.#handUp, label: t(this.#handUp ? 'bar.hand-lower' : 'bar.hand-raise'), disabled: !joined });
    bar.set('react', { on: this.#reactions.shown, label: t('bar.react'), disabled: !joined });
    const speaker = this.#tiles.mode === 'speaker';
    bar.set('layout', { symbol: speaker ? 'speaker' : 'grid', label: t(speaker ? 'bar.layout-grid' : 'bar.layout-speaker') });
    bar.set('captions', { on: this.#captions.shown, label: t(captions.available ? 'bar.captions' : 'bar.captions-none') });
    bar.set('chat', { on: this.#chat.shown, label: t('bar.chat'), count: this.#chat.unread });
    bar.set('people', { on: this.#people.shown, label: t('bar.people', { count: Math.max(1, roster.participants.size) }), count: this.#lobby.count });
    bar.set('record', {
      on: recording.active, label: t(recording.active ? 'bar.record-stop' : 'bar.record'), hidden: !(grants.host || grants.record), disabled: this.#recordingBusy, alert: recording.active,
    });
    bar.set('devices', { label: t('bar.settings') });
    bar.set('leave', { label: t('bar.leave') });
    bar.set('help', { label: t('bar.help') });
  }
}
