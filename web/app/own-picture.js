/** Our own video, which floats in a corner in a call of two: it moves by dragging, by its button, and by arrow keys on the button. */
import { iconButton } from './fields.js';
import { CORNERS } from './view-state.js';
import { t } from './words.js';

/** A drag shorter than this (px) counts as a click. */
const STILL = 6;

/** @param {HTMLElement} tile @param {HTMLElement} area that contains it; its layout decides whether it floats @param {import('./view-state.js').ViewState} view */
export function moveByHand(tile, area, view) {
  const floats = () => area.dataset.layout === 'duo';
  tile.append(iconButton('move', t('tile.move'), {
    class: 'tile-move',
    onclick: () => view.set({ corner: CORNERS[(CORNERS.indexOf(view.corner) + 1) % CORNERS.length] }),
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      const [vertical, horizontal] = view.corner.split('-');
      const corner = { ArrowUp: `top-${horizontal}`, ArrowDown: `bottom-${horizontal}`, ArrowLeft: `${vertical}-left`, ArrowRight: `${vertical}-right` }[event.key];
      if (!corner) return;
      event.preventDefault();
      view.set({ corner });
    },
  }));
  tile.addEventListener('pointerdown', (event) => {
    if (!floats() || event.button !== 0 || (event.target instanceof Element && event.target.closest('button'))) return;
    const from = { x: event.clientX, y: event.clientY };
    const moves = new AbortController();
    const { signal } = moves;
    tile.setPointerCapture(event.pointerId);
    /** @param {PointerEvent} at */
    const follow = ({ clientX, clientY }) => {
      tile.style.translate = `${clientX - from.x}px ${clientY - from.y}px`;
    };
    /** @param {PointerEvent} at */
    const drop = ({ clientX, clientY }) => {
      moves.abort();
      tile.style.translate = '';
      if (Math.hypot(clientX - from.x, clientY - from.y) < STILL) return;
      const { left, top, width, height } = area.getBoundingClientRect();
      view.set({ corner: `${clientY < top + height / 2 ? 'top' : 'bottom'}-${clientX < left + width / 2 ? 'left' : 'right'}` });
    };
    tile.addEventListener('pointermove', follow, { signal });
    tile.addEventListener('pointerup', drop, { signal });
    tile.addEventListener('pointercancel', () => {
      moves.abort();
      tile.style.translate = '';
    }, { signal });
  });
}
