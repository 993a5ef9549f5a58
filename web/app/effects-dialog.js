/** The dialog of effects on camera and microphone: background, light, noise suppression. */
import { BACKDROPS, paint } from './backdrops.js';
import { show } from './dialogs.js';
import { h, setText } from './dom.js';
import { check } from './fields.js';
import { icon } from './icons.js';
import { keepOwnPicture, ownPicture } from './own-backdrop.js';
import { preferences } from './preferences.js';
import { t } from './words.js';

const SWATCH = { width: 128, height: 72 };

/** @param {import('./local-media.js').LocalMedia} media */
export function showEffects(media) {
  const closed = new AbortController();
  const video = h('video', { autoplay: true, playsinline: true, 'aria-hidden': 'true' });
  video.muted = true;
  const state = h('p', { class: 'hint', role: 'status' });
  let busy = 0;
  const update = () => {
    if (video.srcObject?.getVideoTracks()[0] !== (media.camera ?? undefined)) video.srcObject = media.camera ? new MediaStream([media.camera]) : null;
    video.classList.toggle('mirrored', media.mirrored);
    setText(state, busy ? t('effects.loading') : media.problems.effects || (media.camera ? '' : t('effects.no-camera')));
    // The choice is undone if the effect is unavailable.
    const chosen = preferences().background;
    for (const input of group.querySelectorAll('input[type=radio]')) input.checked = input.value === chosen;
    light.input.checked = preferences().lowLight;
  };
  /** @param {Partial<import('./effects.js').Look>} changes */
  const choose = async (changes) => {
    busy += 1;
    const chosen = media.setEffects(changes);
    setText(state, t('effects.loading'));
    await chosen;
    busy -= 1;
    if (!closed.signal.aborted) update();
  };
  const picker = h('input', { type: 'file', accept: 'image/*', hidden: true, 'aria-hidden': 'true', tabindex: -1, onchange: () => void own(picker.files[0]) });
  /** @param {File} [file] */
  const own = async (file) => {
    picker.value = '';
    if (!file) return;
    try {
      await keepOwnPicture(file);
    } catch {
      return setText(state, t('effects.no-picture'));
    }
    ownCard.hidden = false;
    await drawOwn(ownCanvas);
    await choose({ background: 'own' });
  };
  const ownCanvas = h('canvas', SWATCH);
  const ownCard = card('own', ownCanvas, choose);
  ownCard.hidden = true;
  void drawOwn(ownCanvas).then((there) => (ownCard.hidden = !there));
  const group = h('fieldset', { class: 'backdrops' }, h('legend', {}, t('effects.background')),
    card('', icon('ban'), choose), card('blur-light', blurred('light'), choose), card('blur', blurred('strong'), choose),
    ...BACKDROPS.map((name) => card(name, swatch(name), choose)), ownCard);
  const light = check(t('effects.low-light'), t('effects.low-light-hint'), preferences().lowLight, (lowLight) => void choose({ lowLight }));
  media.addEventListener('change', update, { signal: closed.signal });
  update();
  return show((dialog) => [
    h('h2', {}, t('effects.title')),
    h('div', { class: 'effects-preview' }, video, state),
    group,
    h('button', { type: 'button', class: 'button small', onclick: () => picker.click() }, icon('image'), t('effects.own-choose')), picker,
    light.element,
    check(t('effects.noise'), t('effects.noise-hint'), preferences().noiseSuppression, (noiseSuppression) => void media.setProcessing({ noiseSuppression })).element,
    h('div', { class: 'row-actions' }, h('button', { type: 'button', class: 'button primary', onclick: () => dialog.close('') }, t('action.done'))),
  ]).finally(() => {
    closed.abort();
    video.srcObject = null;
  });
}

/** @param {string} value @param {Element} picture @param {(changes: {background: string}) => void} choose @returns {HTMLElement} */
function card(value, picture, choose) {
  return h('label', { class: 'backdrop' }, h('input', { type: 'radio', name: 'background', value, onchange: () => choose({ background: value }) }),
    h('span', { class: 'backdrop-picture', 'aria-hidden': 'true' }, picture), h('span', {}, t(`effects.background-${value || 'none'}`)));
}

/** @param {string} name @returns {HTMLElement} */
function swatch(name) {
  const canvas = h('canvas', SWATCH);
  paint(name, canvas.getContext('2d'), SWATCH.width, SWATCH.height);
  return canvas;
}

/** @param {string} manner @returns {HTMLElement} a person in front of a blurred background */
function blurred(manner) {
  return h('span', { class: `blurred blurred-${manner}` }, icon('speaker'));
}

/** @param {any} canvas @returns {Promise<boolean>} true if there is a picture */
async function drawOwn(canvas) {
  const blob = await ownPicture().catch(() => null);
  if (!blob) return false;
  const picture = await createImageBitmap(blob);
  const scale = Math.max(SWATCH.width / picture.width, SWATCH.height / picture.height);
  canvas.getContext('2d').drawImage(picture, (SWATCH.width - picture.width * scale) / 2, (SWATCH.height - picture.height * scale) / 2, picture.width * scale, picture.height * scale);
  picture.close();
  return true;
}
