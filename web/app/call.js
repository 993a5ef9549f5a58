/** A call: its room, devices and state, which call-view.js shows. */
import { AudioOutput, Encryption, Room, admission } from '/sdk/parley.js';
import { CallAvatars } from './call-avatars.js';
import { CallView } from './call-view.js';
import { ChatLog } from './chat-log.js';
import { RECORDING, captionsConsent, modelReads } from './consents.js';
import { watchDevices } from './device-watch.js';
import { canFloat } from './floating.js';
import { codeOf, duration, refusal, sentenceOf } from './format.js';
import { announcePeople } from './notices.js';
import { noticeSleep } from './on-device.js';
import { attendance, preferences, remember, rememberAttendance } from './preferences.js';
import { Publishing } from './publishing.js';
import { rest } from './session.js';
import { toast } from './toasts.js';
import { ViewState } from './view-state.js';
import { t } from './words.js';

/**
 * @typedef {{meeting: any, media: import('./local-media.js').LocalMedia, entry: import('./prejoin.js').Entry, signal: AbortSignal, given?: import('./entry-address.js').Given, offer?: Promise<any>,
 *   early?: () => import('/sdk/parley.js').EarlySocket|null, refused: (sentence: string) => void, over: (code: string, reason?: string) => void}} CallOptions
 * @param {HTMLElement} page @param {CallOptions} options @returns {Call}
 */
export function showCall(page, options) {
  const call = new Call(page, options);
  document.body.className = 'in-call';
  void call.join();
  return call;
}

/** Events of `room`, `media`, `chat` and `view` report changes; views are rebuilt when the language changes. */
export class Call {
  room;
  audio;
  publishing;
  avatars;
  chat;
  view = new ViewState();
  /** Null where the server may see media. @type {Encryption|null} */
  encryption;
  meeting;
  media;
  signal;
  /** The room that we are in: the meeting's own, or one of its breakout rooms. */
  place;
  /** True for the meeting's host, who can appoint co-hosts. */
  owner = false;
  /** True while we wait for a host to let us in. */
  waits = false;
  /** Our consent to recording, and whether we answered. */
  consent;
  answered;
  /** Our consent to captions, null if we were not asked. @type {boolean|null} */
  captioned;
  /** The ids of MediaStreamTracks that do not decrypt: their senders typed another passphrase. @type {Set<string>} */
  differing = new Set();
  /** The actions that have a button in the bar; null: all. @type {Set<string>|null} */
  buttons;
  /** Our name, once the server has told it. */
  #ownName = '';
  /** The analyses that the server offers, which need consent. @type {any} */
  analysis = null;
  /** The languages to which the server translates captions. @type {string[]} */
  translation = [];
  /** Whether a language model gets the captions. */
  modelReads = false;
  #options;
  #page;
  /** @type {CallView|null} */
  #shown = null;
  /** Keeps the mute state across a reconnection. */
  #entered = false;
  /** True while we may only watch. */
  #watches = false;
  /** Whether we are a host, null until we know. @type {boolean|null} */
  #hosts = null;
  /** Whether we present, null until we know. @type {boolean|null} */
  #presents = null;

  /** @param {HTMLElement} page @param {CallOptions} options */
  constructor(page, options) {
    this.#page = page;
    this.#options = options;
    const { meeting, entry, media, signal } = options;
    this.meeting = this.place = meeting;
    this.media = media;
    this.signal = signal;
    this.consent = this.answered = entry.consent.recording;
    this.captioned = entry.consent.captions;
    const { layout = '', buttons = null } = options.given ?? {};
    this.buttons = buttons;
    if (layout === 'speaker' || layout === 'side') this.view.mode = layout;
    performance.mark('parley:join');
    this.encryption = entry.words ? Encryption.fromPassphrase(entry.words, meeting.id) : null;
    this.room = new Room({
      codec: meeting.codec,
      signaling: { door: meeting.webtransport, early: options.early?.() },
      ...(this.encryption ? { encryption: this.encryption } : {}),
      admit: admission(rest, meeting.id, this.#who(), {
        signal,
        admitted: (answer) => this.#admitted(answer),
        waiting: (waits) => {
          this.waits = waits;
          this.#shown?.update();
        },
      }),
    });
    this.publishing = new Publishing(this.room, media, { signal, unmute: (source) => rest.unmuteParticipant(this.place.id, this.room.participant, source) });
    this.audio = new AudioOutput(this.room);
    void options.offer?.then((offer) => this.#learn(offer));
    this.chat = new ChatLog(this.room, signal);
    this.avatars = new CallAvatars(this);
    announcePeople(this.room, signal);
    watchDevices(media, this.room, { setSpeaker: (id) => this.audio.setSpeaker(id), settings: () => this.#shown?.openSettings(), signal });
    noticeSleep(signal, (ms) => toast(t('call.slept', { time: duration(ms) }), 'problem', canFloat() ? { label: t('view.pip'), act: () => this.#shown?.float() } : undefined));
    this.#listen();
    // Exposed for the console and for measurements, which read statistics from it.
    Object.assign(globalThis, { parley: { room: this.room } });
  }

  /** Our name, as others see it. */
  get name() {
    return this.#ownName || this.#options.entry.name || t('person.you-alone');
  }

  get handUp() {
    return (this.room.roster.participants.get(this.room.participant)?.hand ?? 0) > 0;
  }

  async join() {
    const { entry, refused } = this.#options;
    this.room.setConsent({ text: RECORDING.version, recording: entry.consent.recording });
    this.room.setConsent({ text: entry.consent.captionsText ?? captionsConsent(false).version, captions: entry.consent.captions ?? false });
    try {
      await this.room.join(async () => {
        await new Promise((resolve) => void setTimeout(resolve)); // first the request goes out
        if (this.signal.aborted) return;
        this.#show();
        await this.publishing.start();
      });
      void this.#offerAnalysis();
    } catch (error) {
      if (codeOf(error) === 'passcode_required') rememberAttendance(this.meeting.id, {});
      if (!this.signal.aborted) refused(sentenceOf(error));
    }
  }

  /** Answer the question about recording. @param {boolean} granted */
  decide(granted) {
    this.consent = granted;
    this.answered = true;
    this.room.setConsent({ text: RECORDING.version, recording: granted });
  }

  /** Answer the question about captions. @param {boolean} granted */
  decideCaptions(granted) {
    this.captioned = granted;
    remember({ consentCaptions: granted });
    this.room.setConsent({ text: captionsConsent(this.modelReads).version, captions: granted });
  }

  /** Rebuild the view in the language chosen meanwhile. */
  again() {
    this.#show();
  }

  /** @param {string} panel '' for none */
  openPanel(panel) {
    this.#shown?.openPanel(panel);
  }

  /** @param {string} code @param {string} [reason] */
  over(code, reason) {
    this.#options.over(code, reason);
  }

  #show() {
    this.#shown?.close();
    this.#shown = new CallView(this);
    this.#page.replaceChildren(this.#shown.element);
    this.#shown.shown();
  }

  /** Ask for consent to analysis if the server does any; otherwise its modules are not even loaded. */
  async #offerAnalysis() {
    const offer = await (this.#options.offer ?? {});
    if (this.signal.aborted || !(offer.emotion || offer.synthesis)) return;
    this.analysis = offer;
    this.#shown?.offerAnalysis();
  }

  /** @param {any} offer what the server does with speech */
  #learn(offer) {
    if (this.signal.aborted) return;
    this.translation = offer.translation ?? [];
    this.modelReads = modelReads(offer);
    this.view.emit('change');
  }

  /** Captions became available, or were not known to be when we joined: ask once. */
  #offerCaptions() {
    const { captions, grants, participant } = this.room;
    if (this.captioned !== null || !captions.available || !participant || !grants.publish.includes('microphone')) return;
    this.captioned = false;
    toast(t('captions.offer'), 'info', { label: t('captions.offer-agree'), act: () => this.decideCaptions(true) });
  }

  #who() {
    const { meeting, entry } = this.#options;
    const before = attendance(meeting.id);
    return {
      // Later joins keep a name that was changed meanwhile.
      ...(entry.name && !this.#entered ? { name: entry.name } : {}),
      ...(entry.passcode ? { passcode: entry.passcode } : {}),
      ...(before.rejoin_secret ? { rejoin_secret: before.rejoin_secret } : {}),
      ...(before.token ? { admission_token: before.token } : {}),
    };
  }

  /** @param {any} answer */
  #admitted(answer) {
    rememberAttendance(this.meeting.id, { ...attendance(this.meeting.id), rejoin_secret: answer.rejoin_secret });
    const before = this.name;
    this.#ownName = answer.name ?? '';
    if (before !== this.name) this.#show();
    if (answer.start_muted && !this.#entered && this.media.microphoneOn) {
      this.media.switchMicrophone(false);
      toast(t('call.joined-muted'));
    }
    this.#entered = true;
    this.owner = answer.role === 'host';
    this.place = answer.meeting ?? this.meeting;
    this.#shown?.update();
  }

  #listen() {
    const { signal, room } = this;
    room.addEventListener('connection', ({ detail: { state, code, reason } }) => {
      if (state === 'connected') void this.chat.load(this.place.id);
      if (state === 'closed' && room.participant) this.over(code ?? 'left', reason);
    }, { signal });
    room.addEventListener('grants', () => {
      const watches = room.grants.publish.length === 0;
      if (watches !== this.#watches && (watches || room.connection.state === 'connected')) toast(t(watches ? 'call.watching' : 'call.may-speak'));
      this.#watches = watches;
      const { host, presenter } = room.grants;
      if (this.#hosts !== null && host !== this.#hosts) toast(t(host ? 'call.co-host' : 'call.co-host-no-more'));
      this.#hosts = host;
      if (presenter && this.#presents === false) toast(t('call.presenter'));
      this.#presents = presenter;
      this.#offerCaptions();
    }, { signal });
    room.addEventListener('captions-state', () => this.#offerCaptions(), { signal });
    room.addEventListener('participant-updated', ({ detail: { id, name } }) => {
      if (id !== room.participant || name === this.name) return;
      this.#ownName = name;
      this.#show();
      toast(t('people.renamed', { name }));
    }, { signal });
    this.encryption?.addEventListener('differs', ({ detail: { media, differs } }) => {
      this.differing[differs ? 'add' : 'delete'](media);
      this.view.emit('change');
    }, { signal });
    room.addEventListener('problem', ({ detail }) => toast(refusal(detail.code, detail.detail), 'problem'), { signal });
    addEventListener('pagehide', () => room.leave(), { signal });
    signal.addEventListener('abort', () => {
      this.#shown?.close();
      this.audio.close();
      room.leave();
      rest.forgetMeeting();
    });
    void this.audio.setSpeaker(preferences().speaker).catch(() => undefined);
  }
}
