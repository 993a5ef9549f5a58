/** Search in a meeting's captions, with speakers and times. */
import { h } from './dom.js';
import { field, onTyped } from './fields.js';
import { duration, sentenceOf } from './format.js';
import { rest } from './session.js';
import { rich, t } from './words.js';

/** @param {string} meeting @param {AbortSignal} signal @returns {HTMLElement} */
export function spoken(meeting, signal) {
  const words = field(t('spoken.search'), { type: 'search', name: 'spoken', autocomplete: 'off', maxlength: 200 });
  const found = h('ol', { class: 'spoken', 'aria-live': 'polite' });
  let asked = 0;
  const search = async () => {
    const text = words.input.value.trim();
    asked += 1;
    const mine = asked;
    if (text === '') return void found.replaceChildren();
    try {
      const { captions } = await rest.get(`/meetings/${encodeURIComponent(meeting)}/captions?search=${encodeURIComponent(text)}`);
      if (!signal.aborted && mine === asked) found.replaceChildren(...lines(captions));
    } catch (error) {
      if (mine === asked) found.replaceChildren(h('li', { class: 'problem' }, sentenceOf(error)));
    }
  };
  onTyped(words.input, signal, search);
  return h('section', { class: 'card' }, words.element, found);
}

/** @param {any[]} captions */
function lines(captions) {
  if (captions.length === 0) return [h('li', { class: 'hint' }, t('spoken.none'))];
  return captions.map((line) => h('li', {}, ...rich('spoken.line', {
    time: () => h('span', { class: 'hint' }, duration(line.start_ms)), name: () => h('strong', {}, line.name), text: line.text,
  })));
}
