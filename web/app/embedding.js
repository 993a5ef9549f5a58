/**
 * The counterpart of /sdk/embed.js, inside the frame: lets the page around the frame control the meeting, and reports events
 * to it. Only pages of listed origins can show the frame (`frame-ancestors` of the response), and only messages of the parent
 * window are read.
 */
import { openScreen } from '/sdk/parley.js';
import { chooseTheme } from './appearance.js';
import { codeOf, sentenceOf } from './format.js';
import { rest } from './session.js';
import { chooseLanguage, languages } from './words.js';

const LAYOUTS = ['grid', 'speaker', 'side'];
const PANELS = ['', 'chat', 'people', 'activities', 'notes', 'board'];
const LONGEST = 4_000;

/** The origin of the page around the frame, '' until its first message. It is kept when the view is rebuilt. */
let origin = '';

/** The refusal of a call, with a stable code. */
class Refused extends Error {
  /** @param {string} code @param {string} [message] */
  constructor(code, message = code) {
    super(message);
    this.code = code;
  }
}

export class Embedding {
  #context;
  #media;
  /** @type {import('./call.js').Call|null} */
  #call = null;
  /** @type {((entry: Partial<import('./prejoin.js').Entry>) => void)|null} */
  #enter = null;
  /** @type {'prejoin'|'joining'|'joined'|'left'} */
  #stage = 'prejoin';
  /** The last value of each event that reports a state, as JSON. @type {Map<string, string>} */
  #told = new Map();

  /** @param {import('./main.js').Context} context @param {import('./local-media.js').LocalMedia} media */
  constructor(context, media) {
    this.#context = context;
    this.#media = media;
    const { signal } = context;
    addEventListener('message', (event) => void this.#heard(event), { signal });
    this.#follow(media, signal);
    parent.postMessage({ parley: 'ready' }, '*'); // to any origin, since it contains no data
  }

  /** Wait until the person submits the form, or the page calls `join`. @param {(entry: Partial<import('./prejoin.js').Entry>) => void} enter @param {string} problem */
  waits(enter, problem) {
    this.#enter = enter;
    this.#call = null;
    this.#stage = 'prejoin';
    if (problem) this.#emit('error', { code: 'refused', message: problem });
  }

  /** @param {import('./call.js').Call} call @param {import('./local-media.js').LocalMedia} media the devices of this call */
  enters(call, media) {
    this.#call = call;
    this.#stage = 'joining';
    this.#told.clear();
    if (media !== this.#media) this.#follow((this.#media = media), call.signal);
    const { room, view, signal } = call;
    /** @param {string} type @param {(detail: any) => void} listener */
    const on = (type, listener) => room.addEventListener(type, ({ detail }) => listener(detail), { signal });
    on('grants', () => {
      if (this.#stage !== 'joining' || !room.participant) return;
      this.#stage = 'joined';
      this.#emit('joined', { ...this.#self(), participants: this.#participants() });
    });
    for (const type of ['participant-joined', 'participant-updated', 'participant-left']) {
      on(type, (person) => person.id !== room.participant && this.#emit(type, { ...described(person), ...(person.reason ? { reason: person.reason } : {}) }));
    }
    for (const type of ['connection', 'grants', 'local-changed', 'recording', 'captions-state', 'participant-updated']) on(type, () => this.#report());
    view.addEventListener('change', () => this.#report(), { signal });
    on('chat', ({ id, participant, name, text, to = null }) => this.#emit('chat', { id, participant, name, text, to }));
    on('reaction', (detail) => this.#emit('reaction', detail));
    on('speakers', ([loudest]) => this.#state('speaker', { participant: loudest?.participant ?? null }));
    on('data', ({ participant, topic, payload }) => this.#emit('data', { participant, topic, payload }));
    on('moving', ({ meeting, title }) => this.#emit('moving', { meeting, title }));
    on('problem', ({ code, detail }) => this.#emit('error', { code, message: detail }));
  }

  /** @param {string} code @param {string} [reason] */
  leaves(code, reason = '') {
    this.#call = null;
    this.#enter = null;
    this.#stage = 'left';
    this.#emit('left', { code, reason });
  }

  /** @param {import('./local-media.js').LocalMedia} media @param {AbortSignal} signal */
  #follow(media, signal) {
    media.addEventListener('change', () => this.#report(), { signal });
  }

  /** @param {MessageEvent} event */
  async #heard({ source, origin: from, data }) {
    if (source !== parent || data?.parley !== 'call' || typeof data.method !== 'string') return;
    origin = from;
    const method = Object.hasOwn(this.#methods, data.method) ? this.#methods[data.method] : null;
    try {
      if (!method) throw new Refused('unknown_method');
      this.#send({ parley: 'reply', id: data.id, result: (await method(data.args ?? {})) ?? null });
    } catch (error) {
      this.#send({ parley: 'reply', id: data.id, error: { code: codeOf(error) || 'failed', message: sentenceOf(error) } });
    }
  }

  /** @type {Record<string, (args: any) => any>} */
  #methods = {
    state: () => this.#whole(),
    join: ({ name, passcode }) => {
      if (!this.#enter) throw new Refused('not_waiting');
      this.#enter({ ...(name === undefined ? {} : { name: string(name, 200) }), ...(passcode === undefined ? {} : { passcode: string(passcode, 200) }) });
    },
    hangUp: async ({ forEverybody = false }) => {
      const call = this.#joined();
      if (flag(forEverybody)) await rest.end(call.meeting.id);
      call.over(forEverybody ? 'ended' : 'left');
    },
    setMicrophone: async ({ on }) => {
      this.#mayUse('microphone', flag(on));
      await this.#media.setMicrophone(on);
      if (on && !this.#media.microphone) throw new Refused('device', this.#media.problems.microphone);
    },
    setCamera: async ({ on }) => {
      this.#mayUse('camera', flag(on));
      await this.#media.setCamera(on);
      if (on && !this.#media.camera) throw new Refused('device', this.#media.problems.camera);
    },
    setScreen: async ({ on }) => {
      const { room, publishing } = this.#joined();
      if (flag(on) === (room.local('screen') !== null)) return;
      await publishing.toggleScreen(openScreen);
      if (on && !room.local('screen')) throw new Refused('screen_refused');
    },
    setLayout: ({ layout }) => this.#joined().view.set({ mode: /** @type {'grid'|'speaker'|'side'} */ (one(layout, LAYOUTS)) }),
    openPanel: ({ panel = '' }) => this.#joined().openPanel(one(panel, PANELS)),
    pin: ({ participant = '' }) => this.#joined().view.set({ pinned: string(participant ?? '') }),
    raiseHand: ({ raised }) => void this.#joined().room.raiseHand(flag(raised)),
    react: ({ emoji }) => void this.#joined().room.react(string(emoji, 40)),
    chat: ({ text: words, to }) => void this.#joined().room.chat(string(words), to === undefined || to === null ? undefined : string(to)),
    sendData: async ({ payload, topic, to, reliable = true }) => {
      await this.#joined().room.publishData(payload instanceof Uint8Array ? payload : string(payload, 60_000), { reliable: flag(reliable), topic, to });
    },
    setCaptions: ({ on }) => this.#joined().view.set({ captions: flag(on) }),
    setRecording: async ({ on }) => {
      const { place } = this.#joined();
      await (flag(on) ? rest.startRecording(place.id) : rest.stopRecording(place.id));
    },
    muteAll: async () => void (await rest.muteAll(this.#joined().place.id)),
    removeParticipant: async ({ participant }) => void (await rest.removeParticipant(this.#joined().place.id, string(participant))),
    devices: () => ({ ...JSON.parse(JSON.stringify(this.#media.devices)), chosen: this.#media.opened }),
    setDevice: async ({ kind, id }) => {
      if (one(kind, ['camera', 'microphone', 'speaker']) === 'speaker') await this.#joined().audio.setSpeaker(string(id));
      else await this.#media.choose(kind, string(id));
    },
    setTheme: ({ theme }) => chooseTheme(one(theme, ['', 'light', 'dark'])),
    setLanguage: async ({ language }) => {
      await chooseLanguage(one(language, languages().map(({ tag }) => tag)));
      if (this.#call) this.#call.again();
      else this.#context.again();
    },
  };

  #joined() {
    if (!this.#call || this.#stage !== 'joined') throw new Refused('not_joined');
    return this.#call;
  }

  /** @param {'microphone'|'camera'} source @param {boolean} on */
  #mayUse(source, on) {
    const room = this.#stage === 'joined' ? this.#call?.room : null;
    if (!on || !room) return;
    if (room.grants.muted.includes(source)) throw new Refused('muted_by_host');
    if (!room.grants.publish.includes(source)) throw new Refused('forbidden');
  }

  #self() {
    const { room, name, place } = /** @type {import('./call.js').Call} */ (this.#call);
    return { participant: room.participant, name, host: room.grants.host, meeting: place.id, title: place.title };
  }

  #participants() {
    const room = this.#call?.room;
    return room ? [...room.roster.participants.values()].filter(({ id }) => id !== room.participant).map(described) : [];
  }

  /** Return the result of `state`: the stage, the participants, and the current detail of each event about a state. */
  #whole() {
    const stage = this.#stage;
    return { stage, ...(this.#call && stage === 'joined' ? { self: this.#self(), participants: this.#participants() } : {}), ...Object.fromEntries(this.#facts()) };
  }

  /** @returns {[string, object][]} each event that reports a state, with its current detail */
  #facts() {
    const { microphone, microphoneOn, camera } = this.#media;
    /** @type {[string, object][]} */
    const facts = [['microphone', { on: microphone !== null && microphoneOn }], ['camera', { on: camera !== null }]];
    if (!this.#call) return facts;
    const { room, view, waits } = this.#call;
    return [...facts,
      ['screen', { on: room.local('screen') !== null }],
      ['recording', { on: room.recording.active }],
      ['captions', { on: view.captions, available: room.captions.available }],
      ['layout', { layout: view.mode }],
      ['panel', { panel: view.panel }],
      ['hand', { raised: this.#call.handUp }],
      ['role', { host: room.grants.host }],
      ['connection', { state: room.connection.state }],
      ['lobby', { waiting: waits }]];
  }

  /** Send an event for each state that has changed. */
  #report() {
    for (const [type, detail] of this.#facts()) this.#state(type, detail);
  }

  /** @param {string} type @param {object} detail */
  #state(type, detail) {
    const now = JSON.stringify(detail);
    if (this.#told.get(type) === now) return;
    this.#told.set(type, now);
    this.#emit(type, detail);
  }

  /** @param {string} type @param {object} detail */
  #emit(type, detail) {
    this.#send({ parley: 'event', type, detail });
  }

  /** @param {object} message */
  #send(message) {
    if (origin) parent.postMessage(message, origin === 'null' ? '*' : origin);
  }
}

/** @param {{id: string, name: string, host: boolean, connected: boolean, hand: number}} person */
function described({ id, name, host, connected, hand }) {
  return { participant: id, name, host, connected, hand: hand > 0 };
}

/** @param {unknown} value @returns {boolean} */
function flag(value) {
  if (typeof value !== 'boolean') throw new Refused('bad_argument');
  return value;
}

/** @param {unknown} value @param {number} [longest] @returns {string} */
function string(value, longest = LONGEST) {
  if (typeof value !== 'string' || value.length > longest) throw new Refused('bad_argument');
  return value;
}

/** @param {unknown} value @param {string[]} allowed @returns {string} */
function one(value, allowed) {
  if (typeof value !== 'string' || !allowed.includes(value)) throw new Refused('bad_argument');
  return value;
}
