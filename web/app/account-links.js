/** Pages that links in mails lead to: `/reset-password?token=…` and `/verify-email?token=…`. */
import { brand } from './brand.js';
import { h } from './dom.js';
import { field, form } from './fields.js';
import { rest } from './session.js';

/** @param {HTMLElement} page @param {import('./main.js').Context} context */
export function showResetPassword(page, context) {
  const token = context.query.get('token') ?? '';
  // The token is a secret: it need not stay in the address bar or the history.
  history.replaceState(null, '', '/reset-password');
  const password = field('New password', {
    name: 'password', type: 'password', autocomplete: 'new-password', required: true, minlength: 8, hint: 'At least 8 characters.',
  });
  const card = h('div', { class: 'card' }, h('h1', {}, 'Set a new password'), form({
    action: 'Set password',
    submit: async () => {
      await rest.resetPassword(token, password.input.value);
      card.replaceChildren(h('h1', {}, 'Your password was changed'), h('a', { class: 'button primary', href: '/' }, 'Sign in'));
    },
  }, password.element));
  page.replaceChildren(h('main', { class: 'centred' }, brand(), card));
}

/** @param {HTMLElement} page @param {import('./main.js').Context} context */
export async function showVerifyEmail(page, context) {
  const token = context.query.get('token') ?? '';
  history.replaceState(null, '', '/verify-email');
  await rest.verifyEmail(token);
  page.replaceChildren(h('main', { class: 'centred' }, brand(),
    h('div', { class: 'card' }, h('h1', {}, 'Your address is confirmed'), h('a', { class: 'button primary', href: '/' }, 'To the start'))));
}

/** Ask for the mail with the first of these links. @param {() => void} back @returns {HTMLElement[]} */
export function forgotPassword(back) {
  const email = field('E-mail', { name: 'email', type: 'email', autocomplete: 'email', required: true });
  const sent = h('p', { class: 'hint', role: 'status' });
  return [
    h('h2', {}, 'Forgot your password?'),
    form({
      action: 'Send a link',
      submit: async () => {
        await rest.forgotPassword(email.input.value.trim());
        sent.textContent = 'If there is an account with this address, a mail with a link is on its way.';
      },
    }, email.element, sent),
    h('p', { class: 'aside' }, h('button', { class: 'link', type: 'button', onclick: back }, 'Back to sign in')),
  ];
}
