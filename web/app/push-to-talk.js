/** Unmutes while the space bar is held. */
import { preferences } from './preferences.js';
import { TALK_KEY } from './shortcuts.js';

const FIELDS = 'input, textarea, select, [contenteditable], dialog';
/** Elements that the space bar activates when they have the focus. */
const CONTROLS = 'button, a, summary, [role=menuitem]';

/**
 * @param {import('./local-media.js').LocalMedia} media @param {() => boolean} may returns true if we may speak now @param {AbortSignal} signal
 */
export function pushToTalk(media, may, signal) {
  let holds = false;
  /** A control that a pointer pressed keeps the focus; only one that keys led to takes the space bar. @type {Element|null} */
  let pressed = null;

  /** @param {KeyboardEvent} event @returns {boolean} true if another element handles the key */
  function isTaken({ target }) {
    if (!(target instanceof Element)) return false;
    const control = target.closest(CONTROLS);
    return target.closest(FIELDS) !== null || (control !== null && control !== pressed);
  }

  function release() {
    if (!holds) return;
    holds = false;
    if (media.microphoneOn) media.switchMicrophone(false);
  }

  addEventListener('pointerdown', ({ target }) => (pressed = target instanceof Element ? target.closest(CONTROLS) : null), { signal, capture: true });
  addEventListener('keydown', (event) => {
    if (event.key === 'Tab') pressed = null;
    if (event.key !== TALK_KEY || event.ctrlKey || event.metaKey || event.altKey) return;
    if (holds) return event.preventDefault();
    if (event.repeat || !preferences().pushToTalk || isTaken(event) || !media.microphone || media.microphoneOn || !may()) return;
    event.preventDefault();
    holds = true;
    media.switchMicrophone(true);
  }, { signal });
  addEventListener('keyup', (event) => {
    if (event.key !== TALK_KEY || !holds) return;
    // Otherwise the key would press the focused button.
    event.preventDefault();
    release();
  }, { signal });
  addEventListener('blur', release, { signal });
  signal.addEventListener('abort', release);
}
