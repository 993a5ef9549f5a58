/** The dialog in which a line of a transcript is edited: its text, and its earlier texts with who wrote them and when. */
import { showForm } from './dialogs.js';
import { h } from './dom.js';
import { area, form } from './fields.js';
import { dateTime, sentenceOf } from './format.js';
import { rest } from './session.js';
import { t } from './words.js';

/** @param {string} recording @param {any} caption @param {(text: string) => void} changed */
export function editCaption(recording, caption, changed) {
  const path = `/recordings/${encodeURIComponent(recording)}/captions/${encodeURIComponent(caption.utterance)}`;
  const text = area(t('transcript.text'), { required: true, maxlength: 2000, rows: 3, lang: caption.lang }, caption.text);
  const earlier = h('ul', { class: 'link-list', 'aria-label': t('transcript.versions') });
  const problem = h('p', { class: 'problem', role: 'alert' });

  return showForm(t('transcript.edit'), (close) => {
    /** @param {string} words */
    const save = async (words) => {
      const { versions } = await rest.put(path, { text: words });
      changed(versions[0].text);
      close();
    };
    /** @param {any} version */
    const entry = (version) => h('li', {},
      h('span', {}, version.text, h('span', { class: 'hint' }, ` ${version.version === 0 ? t('transcript.recognised') : t('transcript.by', { name: version.written_by ?? t('transcript.somebody'), time: dateTime(version.written_at) })}`)),
      h('button', { type: 'button', class: 'button small', onclick: () => void save(version.text).catch((error) => (problem.textContent = sentenceOf(error))) }, t('transcript.restore')));
    rest.get(`${path}/versions`).then(({ versions }) => earlier.replaceChildren(...versions.slice(1).map(entry)), (error) => (problem.textContent = sentenceOf(error)));
    return [form({ action: t('action.save'), submit: () => save(text.input.value) }, text.element), earlier, problem];
  });
}
