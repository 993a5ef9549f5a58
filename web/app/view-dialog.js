/** The dialog for choosing the view of a call. */
import { show } from './dialogs.js';
import { h } from './dom.js';
import { check } from './fields.js';
import { icon } from './icons.js';
import { languageChoice } from './translations.js';
import { t } from './words.js';
import { PER_PAGE, SIZES } from './view-state.js';

const MODES = [['grid', 'view.grid'], ['speaker', 'view.speaker'], ['side', 'view.side']];

/**
 * @param {import('./view-state.js').ViewState} view
 * @param {{fullScreen: () => void, pictureInPicture: (() => void)|null, translation: string[]}} options
 *   `pictureInPicture` is null if the browser does not support it; `translation`: languages to which the server translates captions
 */
export function showView(view, { fullScreen, pictureInPicture, translation }) {
  return show((dialog) => {
    /** @param {() => void} act */
    const then = (act) => () => {
      dialog.close('');
      act();
    };
    return [
      h('h2', {}, t('view.title')),
      segments('view.layout', 'mode', MODES.map(([value, key]) => [value, t(key)]), view.mode, (value) => view.set({ mode: /** @type {any} */ (value), pinned: '' })),
      segments('view.per-page', 'per-page', PER_PAGE.map((count) => [String(count), String(count)]), String(view.perPage), (value) => view.set({ perPage: Number(value) })),
      segments('view.captions-size', 'captions-size', SIZES.map((size) => [size, t(`view.captions-${size}`)]), view.captionsSize, (captionsSize) => view.set({ captionsSize })),
      segments('view.captions-at', 'captions-at', ['bottom', 'top'].map((at) => [at, t(`view.captions-${at}`)]), view.captionsAt, (captionsAt) => view.set({ captionsAt })),
      translation.length > 0 && languageChoice(translation, view.translation, (chosen) => view.set({ translation: chosen })),
      check(t('view.only-video'), t('view.only-video-hint'), view.onlyVideo, (onlyVideo) => view.set({ onlyVideo })).element,
      check(t('view.mirror'), t('view.mirror-hint'), view.mirror, (mirror) => view.set({ mirror })).element,
      check(t('view.statistics'), t('view.statistics-hint'), view.statistics, (statistics) => view.set({ statistics })).element,
      h('div', { class: 'row-actions view-actions' },
        document.fullscreenEnabled && h('button', { type: 'button', class: 'button', 'data-view': 'full-screen', onclick: then(fullScreen) }, icon('maximize'), t('view.full-screen')),
        pictureInPicture && h('button', { type: 'button', class: 'button', 'data-view': 'pip', onclick: then(pictureInPicture) }, icon('pip'), t('view.pip')),
        h('button', { type: 'button', class: 'button primary', onclick: () => dialog.close('') }, t('action.done'))),
    ];
  });
}

/** A group of radio buttons. @param {string} legend @param {string} name @param {string[][]} choices @param {string} chosen @param {(value: string) => void} onchange */
function segments(legend, name, choices, chosen, onchange) {
  return h('fieldset', { class: 'segments' }, h('legend', {}, t(legend)), ...choices.map(([value, label]) => h('label', {},
    h('input', { type: 'radio', name, value, checked: value === chosen, onchange: () => onchange(value) }), h('span', {}, label))));
}
