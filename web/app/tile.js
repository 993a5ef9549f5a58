/** A tile: one participant's camera, or one shared screen. */
import { h, setText } from './dom.js';
import { hue, initials } from './format.js';
import { icon } from './icons.js';
import { t } from './words.js';

export class Tile {
  /** @type {HTMLElement} */
  element;
  #video;
  #name;
  #letters;
  #badge;
  #overlay;
  /** @type {MediaStreamTrack|null} */
  #media = null;
  #firstFrame;

  /**
   * @param {{id: string, kind: 'person'|'screen', self?: boolean, firstFrame?: () => void}} options
   */
  constructor({ id, kind, self = false, firstFrame = () => undefined }) {
    this.#firstFrame = firstFrame;
    this.#video = h('video', { autoplay: true, playsinline: true, disablepictureinpicture: true });
    this.#video.muted = true;
    this.#letters = h('span', { class: 'avatar' });
    this.#name = h('span', { class: 'tile-name-text' });
    this.#badge = h('span', { class: 'tile-badge', role: 'img', 'aria-label': t('tile.microphone-off'), hidden: true }, icon('mic-off'));
    this.#overlay = h('div', { class: 'tile-overlay', hidden: true });
    this.element = h('article', { class: `tile tile-${kind}${self ? ' tile-self' : ''}`, 'data-id': id },
      this.#letters, this.#video, this.#overlay,
      h('div', { class: 'tile-name' }, this.#badge, this.#name));
    this.element.style.setProperty('--hue', String(hue(id)));
    this.#video.hidden = true;
  }

  /** @param {{name: string, label?: string, muted: boolean}} options `label` is shown instead of the name */
  describe({ name, label = name, muted }) {
    setText(this.#name, label);
    setText(this.#letters, initials(name));
    this.#badge.hidden = !muted;
    this.element.setAttribute('aria-label', muted ? t('tile.microphone-off-of', { name: label }) : label);
  }

  /** Show a picture, or the avatar when there is none. @param {MediaStreamTrack|null} media */
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

  /** Say why there is no picture. @param {string} text '' for nothing to say @param {'pause'|'signal'} symbol */
  setOverlay(text, symbol = 'pause') {
    this.#overlay.hidden = text === '';
    if (text && this.#overlay.textContent !== text) this.#overlay.replaceChildren(icon(symbol), h('span', {}, text));
    if (!text) this.#overlay.replaceChildren();
    this.element.classList.toggle('covered', text !== '');
  }

  close() {
    this.show(null);
    this.element.remove();
  }
}
