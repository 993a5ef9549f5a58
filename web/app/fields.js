/** Form controls with their labels and error messages. */
import { h } from './dom.js';
import { icon } from './icons.js';
import { sentenceOf } from './format.js';

const TYPED_MS = 300;

let counter = 0;

/**
 * A labelled input. @param {string} label @param {Record<string, any>} attributes of the input; `hint` is shown below it
 * @returns {{element: HTMLElement, input: HTMLInputElement}}
 */
export function field(label, { hint, ...attributes }) {
  counter += 1;
  const id = `field-${counter}`;
  const input = h('input', { id, class: 'input', 'aria-describedby': hint ? `${id}-hint` : null, ...attributes });
  const element = h('div', { class: 'field' },
    h('label', { for: id }, label), input, hint && h('p', { class: 'hint', id: `${id}-hint` }, hint));
  return { element, input };
}

/**
 * Act after a pause in typing, not for each letter. @param {HTMLInputElement} input @param {AbortSignal} signal
 * @param {() => unknown} act
 */
export function onTyped(input, signal, act) {
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  let timer;
  input.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(act, TYPED_MS);
  });
  signal.addEventListener('abort', () => clearTimeout(timer));
}

/**
 * A labelled text area. @param {string} label @param {Record<string, any>} attributes @param {string} text
 * @returns {{element: HTMLElement, input: HTMLTextAreaElement}}
 */
export function area(label, attributes, text) {
  counter += 1;
  const id = `field-${counter}`;
  const input = h('textarea', { id, class: 'input', ...attributes });
  input.value = text;
  return { element: h('div', { class: 'field' }, h('label', { for: id }, label), input), input };
}

/**
 * A labelled drop-down list. @returns {{element: HTMLElement, select: HTMLSelectElement}}
 * @param {string} label @param {string} symbol @param {(value: string) => unknown} onchange
 */
export function choice(label, symbol, onchange) {
  counter += 1;
  const id = `field-${counter}`;
  const select = h('select', { id, class: 'input', onchange: () => onchange(select.value) });
  const element = h('div', { class: 'field choice' }, h('label', { for: id }, icon(symbol), h('span', {}, label)), select);
  return { element, select };
}

/**
 * A labelled check box with a hint. @returns {{element: HTMLElement, input: HTMLInputElement}}
 * @param {string} label @param {string} explanation @param {boolean} checked @param {(checked: boolean) => unknown} [onchange]
 */
export function check(label, explanation, checked, onchange = (_checked) => undefined) {
  const input = h('input', { type: 'checkbox', checked, onchange: () => onchange(input.checked) });
  const element = h('label', { class: 'check' }, input,
    h('span', {}, h('strong', {}, label), explanation && h('span', { class: 'hint' }, explanation)));
  return { element, input };
}

/**
 * A form that runs `submit`, is disabled meanwhile, and shows errors.
 * @param {{submit: () => Promise<void>, action: string, label?: string, class?: string, manner?: string}} options `label` is the accessible name of
 * the button, if `action` alone is ambiguous @param {...any} children
 */
export function form({ submit, action, label, class: className = '', manner = 'primary' }, ...children) {
  const problem = h('p', { class: 'problem', role: 'alert', hidden: true });
  const button = h('button', { class: `button ${manner}`, type: 'submit', 'aria-label': label ?? null }, action);
  const element = h('form', { class: `form ${className}`, novalidate: true, onsubmit: run }, ...children, problem, button);

  /** @param {SubmitEvent} event */
  async function run(event) {
    event.preventDefault();
    if (!element.reportValidity()) return;
    button.disabled = true;
    problem.hidden = true;
    try {
      await submit();
    } catch (error) {
      problem.textContent = sentenceOf(error);
      problem.hidden = false;
    } finally {
      button.disabled = false;
    }
  }
  return element;
}

/** @param {string} symbol @param {string} label @param {Record<string, any>} attributes */
export function iconButton(symbol, label, attributes = {}) {
  const { class: className = '', ...rest } = attributes;
  return h('button', { type: 'button', class: `icon-button ${className}`, 'aria-label': label, title: label, ...rest }, icon(symbol));
}
