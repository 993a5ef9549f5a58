/** Modal questions as native dialogs: the browser handles focus and Escape. */
import { h } from './dom.js';
import { iconButton } from './fields.js';
import { t } from './words.js';

/**
 * @param {string} title @param {string} text @param {{label: string, value: string, class?: string}[]} answers
 * @returns {Promise<string>} the value chosen, '' if dismissed
 */
export function ask(title, text, answers) {
  return show((dialog) => [
    h('h2', {}, title),
    text && h('p', {}, text),
    h('div', { class: 'row-actions' },
      ...answers.map((answer) => h('button', {
        type: 'button', class: `button ${answer.class ?? ''}`, onclick: () => dialog.close(answer.value),
      }, answer.label)),
      h('button', { type: 'button', class: 'button', onclick: () => dialog.close('') }, t('action.cancel'))),
  ]);
}

/**
 * A dialog with a form. A click outside does not close it, because the input would be lost.
 * @param {string} title @param {(close: () => void) => any[]} contents
 */
export function showForm(title, contents) {
  return show((dialog) => {
    const close = () => dialog.close('');
    return [h('div', { class: 'dialog-head' }, h('h2', {}, title), iconButton('close', t('action.close'), { onclick: close })), ...contents(close)];
  }, 'dialog dialog-form');
}

/**
 * @param {(dialog: HTMLDialogElement) => any[]} contents @param {string} [manner] CSS classes of the dialog
 * @returns {Promise<string>} the dialog's return value
 */
export function show(contents, manner = 'dialog') {
  return new Promise((resolve) => {
    const dialog = h('dialog', { class: manner });
    dialog.append(...contents(dialog).filter(Boolean));
    dialog.setAttribute('aria-label', dialog.querySelector('h2')?.textContent ?? '');
    dialog.addEventListener('click', (/** @type {MouseEvent} */ event) => {
      if (event.target === dialog && manner === 'dialog') dialog.close('');
    });
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
