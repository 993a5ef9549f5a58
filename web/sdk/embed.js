/**
 * A meeting in a frame, for pages of other sites: `import { Meeting } from 'https://SERVER/sdk/embed.js'`. The server must list
 * the page's origin in `embed_origins`. This file needs no other; docs/pages/embedding.md describes methods and events.
 *
 * Events: `ready`, `joined`, `left`, `participant-joined`, `participant-updated`, `participant-left`, `microphone`, `camera`,
 * `screen`, `recording`, `captions`, `layout`, `panel`, `hand`, `role`, `speaker`, `connection`, `lobby`, `chat`, `reaction`,
 * `data`, `moving`, `error`.
 */

/** The permissions that the frame gets from the page around it (Permissions Policy). */
const ALLOWED = ['camera', 'microphone', 'display-capture', 'autoplay', 'fullscreen', 'picture-in-picture', 'speaker-selection', 'clipboard-write', 'screen-wake-lock'];

/** The refusal of a call; `code` is stable. */
export class EmbedError extends Error {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.name = 'EmbedError';
    this.code = code;
  }
}

export class Meeting extends EventTarget {
  /** The frame; style it as you like. @type {HTMLIFrameElement} */
  element;
  #origin;
  #next = 1;
  /** @type {Map<number, {resolve: (result: any) => void, reject: (error: Error) => void}>} */
  #waiting = new Map();
  #listening = new AbortController();
  /** Resolves once the meeting's page accepts calls. @type {Promise<void>} */
  ready;
  /** @type {(value?: any) => void} */
  #isReady = () => undefined;

  /**
   * @param {string} address the meeting's link, or the `page_url` of an admission, which contains its token
   * @param {object} options
   * @param {Element} options.parent the element to which the frame is added
   * @param {string} [options.token] an admission token, if the address contains none
   * @param {string} [options.name] a name proposed to people without a token or an account
   * @param {boolean} [options.microphone] false: start with it off
   * @param {boolean} [options.camera] false: start with it off
   * @param {boolean} [options.prejoin] false: join at once, unless something must be asked
   * @param {'grid'|'speaker'|'side'} [options.layout]
   * @param {string[]} [options.buttons] the buttons of the bar, for example `['microphone', 'camera', 'chat']`; all by default
   * @param {'light'|'dark'} [options.theme]
   * @param {string} [options.language] for example `zh-CN`; the browser's by default
   * @param {string} [options.title] the frame's title, for screen readers
   */
  constructor(address, { parent, title = 'Meeting', buttons, ...given }) {
    super();
    const url = new URL(address, location.href);
    if (!['https:', 'http:'].includes(url.protocol)) throw new EmbedError('bad_argument', 'The address must begin with https.');
    this.#origin = url.origin;
    const fragment = new URLSearchParams(url.hash.slice(1));
    for (const [name, value] of Object.entries({ ...given, ...(buttons ? { buttons: buttons.join(',') } : {}) })) {
      if (value === false) fragment.set(name, 'off');
      else if (value !== undefined && value !== true) fragment.set(name, String(value));
    }
    url.hash = fragment.toString();
    this.ready = new Promise((resolve) => (this.#isReady = resolve));
    addEventListener('message', (event) => this.#heard(event), { signal: this.#listening.signal });
    this.element = document.createElement('iframe');
    this.element.allow = ALLOWED.join('; ');
    this.element.title = title;
    this.element.style.border = '0';
    this.element.src = url.href;
    parent.append(this.element);
  }

  /** Return the current state: the stage (`prejoin`, `joining`, `joined`, `left`), participants, and the last detail of each event about a state. */
  state() { return this.call('state'); }

  /** Submit the form. @param {{name?: string, passcode?: string}} [who] */
  join(who = {}) { return this.call('join', who); }

  /** Leave; hosts can end the meeting. @param {{forEverybody?: boolean}} [options] */
  hangUp(options = {}) { return this.call('hangUp', options); }

  /** @param {boolean} on */
  setMicrophone(on) { return this.call('setMicrophone', { on }); }

  /** @param {boolean} on */
  setCamera(on) { return this.call('setCamera', { on }); }

  /** Share a screen. Call it directly in a click listener: browsers require a user gesture. @param {boolean} on */
  setScreen(on) { return this.call('setScreen', { on }, { delegate: 'display-capture' }); }

  /** @param {'grid'|'speaker'|'side'} layout */
  setLayout(layout) { return this.call('setLayout', { layout }); }

  /** @param {''|'chat'|'people'|'activities'|'notes'|'board'} panel '' closes it */
  openPanel(panel) { return this.call('openPanel', { panel }); }

  /** Show a participant large; '' ends it. @param {string} participant */
  pin(participant) { return this.call('pin', { participant }); }

  /** @param {boolean} raised */
  raiseHand(raised) { return this.call('raiseHand', { raised }); }

  /** @param {string} emoji */
  react(emoji) { return this.call('react', { emoji }); }

  /** @param {string} text @param {string} [to] a participant; everybody if omitted */
  chat(text, to) { return this.call('chat', { text, to }); }

  /** Send data to all participants or those in `to`. @param {string|Uint8Array} payload @param {{topic?: string, to?: string[], reliable?: boolean}} [options] */
  sendData(payload, options = {}) { return this.call('sendData', { payload, ...options }); }

  /** @param {boolean} on */
  setCaptions(on) { return this.call('setCaptions', { on }); }

  /** @param {boolean} on */
  setRecording(on) { return this.call('setRecording', { on }); }

  muteAll() { return this.call('muteAll'); }

  /** @param {string} participant */
  removeParticipant(participant) { return this.call('removeParticipant', { participant }); }

  /** The devices of each kind, and those `chosen`. */
  devices() { return this.call('devices'); }

  /** @param {'camera'|'microphone'|'speaker'} kind @param {string} id */
  setDevice(kind, id) { return this.call('setDevice', { kind, id }); }

  /** @param {''|'light'|'dark'} theme */
  setTheme(theme) { return this.call('setTheme', { theme }); }

  /** @param {string} language */
  setLanguage(language) { return this.call('setLanguage', { language }); }

  /** Add a listener. @param {string} type @param {(detail: any) => void} listener @returns {() => void} removes it */
  on(type, listener) {
    const heard = (/** @type {Event} */ event) => listener(/** @type {CustomEvent} */ (event).detail);
    this.addEventListener(type, heard);
    return () => this.removeEventListener(type, heard);
  }

  /** Remove the frame, which leaves the call. */
  close() {
    this.#listening.abort();
    this.element.remove();
    for (const { reject } of this.#waiting.values()) reject(new EmbedError('closed', 'The frame was removed.'));
    this.#waiting.clear();
  }

  /**
   * Call a method by its name. @param {string} method @param {object} [args] @param {object} [options] of `postMessage`
   * @returns {Promise<any>} rejects with EmbedError
   */
  call(method, args = {}, options = {}) {
    if (this.#listening.signal.aborted) return Promise.reject(new EmbedError('closed', 'The frame was removed.'));
    const id = this.#next++;
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    const send = () => this.element.contentWindow?.postMessage({ parley: 'call', id, method, args }, { targetOrigin: this.#origin, ...options });
    if (this.#hasBeenReady) send(); // synchronously: a user gesture is valid only for a moment
    else void this.ready.then(send);
    return answer;
  }

  #hasBeenReady = false;

  /** @param {MessageEvent} event */
  #heard({ source, origin, data }) {
    if (source !== this.element.contentWindow || origin !== this.#origin) return;
    if (data?.parley === 'ready') {
      const first = !this.#hasBeenReady;
      this.#hasBeenReady = true;
      this.#isReady();
      // From now on the frame knows where to send events.
      void this.state().then((state) => first && this.dispatchEvent(new CustomEvent('ready', { detail: state })));
    } else if (data?.parley === 'event') {
      this.dispatchEvent(new CustomEvent(data.type, { detail: data.detail }));
    } else if (data?.parley === 'reply') {
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if (data.error) waiting?.reject(new EmbedError(data.error.code, data.error.message));
      else waiting?.resolve(data.result);
    }
  }
}
