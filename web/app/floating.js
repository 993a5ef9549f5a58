/**
 * The call in a small window above other programs: the speaker, or a shared screen, with the main controls. It is a separate
 * document if the browser supports that, otherwise a single video with the browser's controls.
 */
import { h, setText } from './dom.js';
import { icon } from './icons.js';
import { t } from './words.js';

const SIZE = { width: 380, height: 270 };
const CONTROLS = [['microphone', 'mic', 'mic-off'], ['camera', 'camera', 'camera-off'], ['hand', 'hand', 'hand'], ['leave', 'leave', 'leave']];

/** @returns {boolean} true if this browser supports either */
export function canFloat() {
  return 'documentPictureInPicture' in globalThis || document.pictureInPictureEnabled === true;
}

/**
 * @param {import('./call.js').Call} call
 * @param {{signal: AbortSignal, act: (action: string) => void, stateOf: (action: string) => {label: string, on: boolean, disabled: boolean}}} options
 * @returns {Promise<void>} resolves once it is open; rejects if the browser refuses
 */
export async function float(call, { signal, act, stateOf }) {
  const over = new AbortController();
  signal.addEventListener('abort', () => over.abort(), { signal: over.signal });
  const shown = new Shown(call, over.signal);
  over.signal.addEventListener('abort', () => call.room.keepVideo('floating', false));
  if ('documentPictureInPicture' in globalThis) await inDocument(shown, over, act, stateOf);
  else await asVideo(shown, over);
  call.room.keepVideo('floating', true);
}

/** A video element that always shows the most important track. */
class Shown {
  video = h('video', { autoplay: true, playsinline: true });
  name = h('p', { class: 'floating-name' });
  #call;
  #speaker = '';
  /** @type {MediaStreamTrack|null} */
  #media = null;

  /** @param {import('./call.js').Call} call @param {AbortSignal} signal */
  constructor(call, signal) {
    this.#call = call;
    this.video.muted = true;
    const { room, media } = call;
    for (const type of ['participant-left', 'participant-updated', 'track-media', 'track-changed', 'track-unpublished']) {
      room.addEventListener(type, () => this.#update(), { signal });
    }
    room.addEventListener('speakers', ({ detail }) => {
      this.#speaker = detail.find((/** @type {any} */ one) => one.participant !== room.participant)?.participant ?? this.#speaker;
      this.#update();
    }, { signal });
    media.addEventListener('change', () => this.#update(), { signal });
    this.#update();
  }

  #update() {
    const { room, media, name } = this.#call;
    const tracks = [...room.roster.tracks.values()].filter(({ mediaTrack, muted, media: kind }) => mediaTrack && !muted && kind === 'video');
    const track = tracks.find(({ source }) => source === 'screen') ?? tracks.find(({ participant }) => participant === this.#speaker) ?? tracks[0];
    const shown = track?.mediaTrack ?? media.camera;
    const owner = track ? room.roster.participants.get(track.participant)?.name ?? t('person.somebody') : name;
    setText(this.name, track?.source === 'screen' ? t('tile.screen-of', { name: owner }) : owner);
    if (shown === this.#media) return;
    this.#media = shown;
    this.video.srcObject = shown ? new MediaStream([shown]) : null;
    void this.video.play().catch(() => undefined);
  }
}

/** @param {Shown} shown @param {AbortController} over @param {(action: string) => void} act @param {(action: string) => {label: string, on: boolean, disabled: boolean}} stateOf */
async function inDocument(shown, over, act, stateOf) {
  /** @type {Window} */
  const small = await /** @type {any} */ (globalThis).documentPictureInPicture.requestWindow(SIZE);
  const { documentElement: root, head, body } = small.document;
  const { lang, dataset } = document.documentElement;
  root.lang = lang;
  Object.assign(root.dataset, dataset);
  small.document.title = t('view.pip');
  for (const sheet of document.querySelectorAll('link[rel=stylesheet]')) head.append(sheet.cloneNode());
  const buttons = CONTROLS.map(([action]) => h('button', { type: 'button', class: `bar-button bar-${action}`, 'data-action': action, onclick: () => act(action) }));
  body.className = 'floating';
  body.append(h('main', { class: 'floating-call' }, shown.video, shown.name, h('div', { class: 'floating-bar' }, ...buttons)));
  const update = () => CONTROLS.forEach(([action, on, off], index) => {
    const state = stateOf(action);
    const button = buttons[index];
    button.replaceChildren(icon(state.on ? on : off));
    button.setAttribute('aria-label', state.label);
    button.title = state.label;
    button.disabled = state.disabled;
    button.setAttribute('aria-pressed', String(state.on));
    button.classList.toggle('alert', !state.on && action !== 'leave' && action !== 'hand');
  });
  update();
  const timer = setInterval(update, 300);
  over.signal.addEventListener('abort', () => {
    clearInterval(timer);
    small.close();
  });
  small.addEventListener('pagehide', () => over.abort());
}

/** @param {Shown} shown @param {AbortController} over */
async function asVideo(shown, over) {
  const { video } = shown;
  if (video.readyState === 0) await new Promise((resolve) => video.addEventListener('loadedmetadata', resolve, { once: true }));
  await video.requestPictureInPicture();
  video.addEventListener('leavepictureinpicture', () => over.abort());
  over.signal.addEventListener('abort', () => void document.exitPictureInPicture?.().catch(() => undefined));
}
