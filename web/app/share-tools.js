/** Tools for a shared screen: zoom with buttons, wheel or fingers, pan, full screen, and a separate window. */
import { h } from './dom.js';
import { iconButton } from './fields.js';
import { toast } from './toasts.js';
import { t } from './words.js';

const LARGEST = 8;
const STEP = 1.5;
const POPUP = 'popup,width=1100,height=700';

/**
 * @param {HTMLElement} tile @param {HTMLVideoElement} video in it
 * @param {{keepVideo: (on: boolean) => void, name: () => string}} options `keepVideo`: the screen is visible although this page is hidden
 * @returns {{element: HTMLElement, close: () => void}} the buttons
 */
export function shareTools(tile, video, { keepVideo, name }) {
  const view = { scale: 1, x: 0, y: 0 };
  /** @type {Map<number, PointerEvent>} */
  const fingers = new Map();
  /** @type {Window|null} */
  let popup = null;

  const out = iconButton('zoom-out', t('share.zoom-out'), { onclick: () => zoom(1 / STEP) });
  const into = iconButton('zoom-in', t('share.zoom-in'), { onclick: () => zoom(STEP) });
  const element = h('div', { class: 'share-tools', role: 'group', 'aria-label': t('share.tools'), onkeydown: pan }, out, into,
    iconButton('maximize', t('view.full-screen'), { onclick: () => void fill() }),
    iconButton('window', t('share.window'), { onclick: openWindow }));

  function draw() {
    const { scale } = view;
    // Keep the edges of the picture at or beyond those of the tile.
    for (const [axis, length] of /** @type {const} */ ([['x', tile.clientWidth], ['y', tile.clientHeight]])) {
      view[axis] = Math.min(0, Math.max(length * (1 - scale), view[axis]));
    }
    video.style.transformOrigin = '0 0';
    video.style.transform = scale === 1 ? '' : `translate(${view.x}px, ${view.y}px) scale(${scale})`;
    tile.classList.toggle('zoomed', scale > 1);
    out.disabled = scale === 1;
    into.disabled = scale === LARGEST;
  }

  /** @param {number} factor @param {{x: number, y: number}} [at] the point that stays in place, px in the tile */
  function zoom(factor, at = { x: tile.clientWidth / 2, y: tile.clientHeight / 2 }) {
    const scale = Math.min(LARGEST, Math.max(1, view.scale * factor));
    view.x = at.x - ((at.x - view.x) * scale) / view.scale;
    view.y = at.y - ((at.y - view.y) * scale) / view.scale;
    view.scale = scale;
    draw();
  }

  /** @param {KeyboardEvent} event */
  function pan(event) {
    const step = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!step) return;
    event.preventDefault();
    view.x += step[0] * tile.clientWidth * 0.1;
    view.y += step[1] * tile.clientHeight * 0.1;
    draw();
  }

  /** @param {{clientX: number, clientY: number}} event */
  const place = ({ clientX, clientY }) => {
    const { left, top } = tile.getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  };

  tile.addEventListener('wheel', (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 400), place(event));
  }, { passive: false });
  tile.addEventListener('dblclick', (event) => {
    if (event.target instanceof Element && event.target.closest('button')) return;
    zoom(view.scale > 1 ? 0 : 2, place(event));
  });
  tile.addEventListener('pointerdown', (event) => {
    if (event.target instanceof Element && event.target.closest('button')) return;
    fingers.set(event.pointerId, event);
    tile.setPointerCapture(event.pointerId);
  });
  tile.addEventListener('pointermove', (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const [other] = [...fingers.values()].filter(({ pointerId }) => pointerId !== event.pointerId);
    fingers.set(event.pointerId, event);
    if (other) {
      /** @param {PointerEvent} one */
      const distance = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      zoom(distance(event) / Math.max(1, distance(before)), place({ clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 }));
    } else {
      view.x += event.clientX - before.clientX;
      view.y += event.clientY - before.clientY;
      draw();
    }
  });
  for (const type of ['pointerup', 'pointercancel']) tile.addEventListener(type, (event) => fingers.delete(/** @type {PointerEvent} */ (event).pointerId));

  async function fill() {
    try {
      if (document.fullscreenElement === tile) await document.exitFullscreen();
      else if (tile.requestFullscreen) await tile.requestFullscreen();
      else /** @type {any} */ (video).webkitEnterFullscreen(); // on iPhones, only videos can
    } catch {
      toast(t('view.full-screen-failed'), 'problem');
    }
  }

  function openWindow() {
    if (popup && !popup.closed) return popup.focus();
    popup = window.open('', '', POPUP);
    if (!popup) return toast(t('share.window-blocked'), 'problem');
    const { document: there } = popup;
    there.title = name();
    there.documentElement.lang = document.documentElement.lang;
    Object.assign(there.body.style, { margin: '0', background: '#000' });
    const copy = there.body.appendChild(there.createElement('video'));
    Object.assign(copy, { autoplay: true, playsInline: true, muted: true, srcObject: video.srcObject });
    Object.assign(copy.style, { width: '100vw', height: '100vh', objectFit: 'contain' });
    const follow = setInterval(() => {
      if (popup && !popup.closed) {
        if (copy.srcObject !== video.srcObject) copy.srcObject = video.srcObject;
        return;
      }
      clearInterval(follow);
      keepVideo(false);
    }, 500);
    keepVideo(true);
  }

  const sizes = new ResizeObserver(draw);
  sizes.observe(tile);
  return {
    element,
    close: () => {
      sizes.disconnect();
      popup?.close();
    },
  };
}
