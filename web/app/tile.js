/** A tile: one participant's camera, or one shared screen. */
import { face } from './avatars.js';
import { h, setText } from './dom.js';
import { hue } from './format.js';
import { icon } from './icons.js';
import { shareTools } from './share-tools.js';
import { t } from './words.js';

const REACTION_MS = 4_000;

export class Tile {
  /** @type {HTMLElement} */
  element;
  #video;
  #name;
  #letters;
  #badge;
  #hand;
  #network;
  #pin;
  #tools;
  #overlay;
  /** @type {MediaStreamTrack|null} */
  #media = null;
  #firstFrame;

  /**
   * @param {{id: string, kind: 'person'|'screen', self?: boolean, firstFrame?: () => void, pin?: () => void,
   *   keepVideo?: (on: boolean) => void}} options `pin` pins or unpins the tile; `keepVideo`: see share-tools.js
   */
  constructor({ id, kind, self = false, firstFrame = () => undefined, pin, keepVideo = () => undefined }) {
    this.#firstFrame = firstFrame;
    this.#video = h('video', { autoplay: true, playsinline: true, disablepictureinpicture: true });
    this.#video.muted = true;
    this.#letters = h('span', { class: 'avatar' });
    this.#name = h('span', { class: 'tile-name-text' });
    this.#badge = h('span', { class: 'tile-badge', role: 'img', 'aria-label': t('tile.microphone-off'), hidden: true }, icon('mic-off'));
    this.#overlay = h('div', { class: 'tile-overlay', hidden: true });
    this.#hand = h('span', { class: 'tile-hand', role: 'img', 'aria-label': t('tile.hand'), hidden: true }, icon('hand'));
    this.#network = h('span', { class: 'tile-network', role: 'img', hidden: true }, icon('signal'));
    this.#pin = pin ? h('button', { type: 'button', class: 'icon-button tile-pin', onclick: pin }, icon('pin')) : null;
    this.element = h('article', { class: `tile tile-${kind}${self ? ' tile-self' : ''}`, 'data-id': id },
      this.#letters, this.#video, this.#overlay,
      h('div', { class: 'tile-name' }, this.#hand, this.#badge, this.#network, this.#name), this.#pin);
    if (pin) this.element.addEventListener('dblclick', pin);
    this.element.style.setProperty('--hue', String(hue(id)));
    this.#video.hidden = true;
    this.#tools = kind === 'screen' ? shareTools(this.element, this.#video, { keepVideo, name: () => this.#name.textContent ?? '' }) : null;
    if (this.#tools) this.element.append(this.#tools.element);
  }

  /**
   * @param {{name: string, label?: string, muted: boolean, hand?: boolean, pinned?: boolean, picture?: string}} options `label` is shown
   *   instead of the name; `picture`: the URL of an avatar
   */
  describe({ name, label = name, muted, hand = false, pinned = false, picture = '' }) {
    this.#hand.hidden = !hand;
    this.element.classList.toggle('hand-up', hand);
    if (this.#pin && this.#pin.getAttribute('aria-label') !== t(pinned ? 'tile.unpin' : 'tile.pin', { name })) {
      const words = t(pinned ? 'tile.unpin' : 'tile.pin', { name });
      this.#pin.setAttribute('aria-label', words);
      this.#pin.title = words;
      this.#pin.setAttribute('aria-pressed', String(pinned));
      this.#pin.replaceChildren(icon(pinned ? 'pin-off' : 'pin'));
    }
    setText(this.#name, label);
    face(this.#letters, name, picture);
    this.#badge.hidden = !muted;
    this.element.setAttribute('aria-label', muted ? t('tile.microphone-off-of', { name: label }) : label);
  }

  /** Show the video, or the avatar if there is none. @param {MediaStreamTrack|null} media */
  show(media) {
    if (media === this.#media) return;
    this.#media = media;
    this.#video.srcObject = media ? new MediaStream([media]) : null;
    this.#video.hidden = !media;
    if (!media) return;
    this.#video.requestVideoFrameCallback?.(() => this.#firstFrame());
    void this.#video.play().catch(() => undefined);
  }

  /** @param {boolean} speaking */
  setSpeaking(speaking) {
    this.element.classList.toggle('speaking', speaking);
  }

  /** Show the quality of the participant's connection if it is not good. @param {string} quality 'fair', 'poor' or another */
  setNetwork(quality) {
    if (this.#network.dataset.quality === quality) return;
    this.#network.dataset.quality = quality;
    const worthALook = quality === 'fair' || quality === 'poor';
    this.#network.hidden = !worthALook;
    if (!worthALook) return;
    this.#network.setAttribute('aria-label', t(`connection.${quality}`));
    this.#network.title = t(`connection.${quality}`);
  }

  /** Show why there is no video. @param {string} text '' for no message @param {'pause'|'signal'} symbol */
  setOverlay(text, symbol = 'pause') {
    this.#overlay.hidden = text === '';
    if (text && this.#overlay.textContent !== text) this.#overlay.replaceChildren(icon(symbol), h('span', {}, text));
    if (!text) this.#overlay.replaceChildren();
    this.element.classList.toggle('covered', text !== '');
  }

  /** Show an emoji for a moment. @param {string} emoji */
  react(emoji) {
    const shown = h('span', { class: 'tile-reaction', 'aria-hidden': 'true' }, emoji);
    this.element.append(shown);
    setTimeout(() => shown.remove(), REACTION_MS);
  }

  /** Resume playback: a video stops when it is moved in the document. */
  revive() {
    if (this.#media && this.#video.paused) void this.#video.play().catch(() => undefined);
  }

  close() {
    this.#tools?.close();
    this.show(null);
    this.element.remove();
  }
}
