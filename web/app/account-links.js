/** The pages that links in e-mails open: `/reset-password`, `/undo-email` and `/verify-email`, each with `?token=…`. */
import { h } from './dom.js';
import { field, form } from './fields.js';
import { rest } from './session.js';
import { top } from './shell.js';
import { t } from './words.js';

/** @param {HTMLElement} page @param {import('./main.js').Context} context */
export function showResetPassword(page, context) {
  showNewPassword(page, context, '/reset-password', t('link.password-set'), t('link.password-changed'),
    (token, password) => rest.resetPassword(token, password));
}

/** @param {HTMLElement} page @param {import('./main.js').Context} context */
export function showUndoEmail(page, context) {
  showNewPassword(page, context, '/undo-email', t('link.recover'), t('link.recovered'),
    (token, password) => rest.undoEmail(token, password));
}

/**
 * @param {(token: string, password: string) => Promise<any>} send
 * @param {HTMLElement} page @param {import('./main.js').Context} context @param {string} path @param {string} title @param {string} done
 */
function showNewPassword(page, context, path, title, done, send) {
  const token = context.query.get('token') ?? '';
  // The token is a secret: remove it from the address bar and the history.
  history.replaceState(null, '', path);
  const password = field(t('link.password-new'), {
    name: 'password', type: 'password', autocomplete: 'new-password', required: true, minlength: 8, hint: t('hint.password'),
  });
  const card = h('div', { class: 'card' }, h('h1', {}, title), form({
    action: t('link.password-action'),
    submit: async () => {
      await send(token, password.input.value);
      card.replaceChildren(h('h1', {}, done), h('a', { class: 'button primary', href: '/' }, t('sign-in.action')));
    },
  }, password.element));
  page.replaceChildren(top(context), h('main', { class: 'centred' }, card));
}

/** @param {HTMLElement} page @param {import('./main.js').Context} context */
export async function showVerifyEmail(page, context) {
  const token = context.query.get('token') ?? '';
  history.replaceState(null, '', '/verify-email');
  await rest.verifyEmail(token);
  page.replaceChildren(top(context), h('main', { class: 'centred' },
    h('div', { class: 'card' }, h('h1', {}, t('link.address-confirmed')), h('a', { class: 'button primary', href: '/' }, t('problem.home')))));
}

/** Asks for the e-mail with a password link. @param {() => void} back @returns {HTMLElement[]} */
export function forgotPassword(back) {
  const email = field(t('sign-in.email'), { name: 'email', type: 'email', autocomplete: 'email', required: true });
  const sent = h('p', { class: 'hint', role: 'status' });
  return [
    h('h2', {}, t('sign-in.forgot-title')),
    form({
      action: t('sign-in.forgot-action'),
      submit: async () => {
        await rest.forgotPassword(email.input.value.trim());
        sent.textContent = t('sign-in.forgot-sent');
      },
    }, email.element, sent),
    h('p', { class: 'aside' }, h('button', { class: 'link', type: 'button', onclick: back }, t('sign-in.forgot-back'))),
  ];
}
