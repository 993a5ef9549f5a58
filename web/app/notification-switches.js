/** What the account gets mail about, as switches. */
import { h } from './dom.js';
import { check } from './fields.js';
import { sentenceOf } from './format.js';
import { rest } from './session.js';
import { toast } from './toasts.js';
import { language, rich, t } from './words.js';

const SWITCHES = ['film', 'minutes', 'reminder', 'lobby', 'sign_in'];

/** @returns {Promise<HTMLElement>} */
export async function notificationSwitches() {
  const found = await rest.get('/users/notifications');
  const { address } = found;
  const switches = SWITCHES.map((name) => {
    const { element, input } = check(t(`notify.${name}`), t(`notify.${name}-hint`), found[name], (wanted) => void change(input, name, wanted));
    input.name = `notify-${name}`;
    input.disabled = !address;
    return element;
  });
  return h('div', { class: 'form' },
    h('p', { class: 'hint' }, ...(address ? rich('notify.to', { address: h('strong', {}, address) }) : [t('notify.no-address')])), ...switches);
}

/** Store a switch, and the language of the mails with it. @param {HTMLInputElement} input @param {string} name @param {boolean} wanted */
async function change(input, name, wanted) {
  input.disabled = true;
  try {
    await rest.put('/users/notifications', { [name]: wanted, language: language() });
  } catch (error) {
    input.checked = !wanted;
    toast(sentenceOf(error), 'problem');
  } finally {
    input.disabled = false;
    input.focus();
  }
}
