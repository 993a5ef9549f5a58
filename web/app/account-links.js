/** Pages that links in mails lead to: `/reset-password`, `/undo-email` and `/verify-email`, each with `?token=…`. */
import { brand } from './brand.js';
import { h } from './dom.js';
import { field, form } from './fields.js';
import { rest } from './session.js';

/** @param {HTMLElement} page @param {import('./main.js').Context} context */
export function showResetPassword(page, context) {
  showNewPassword(page, context, '/reset-password', 'Set a new password', 'Your password was changed',
    (token, password) => rest.resetPassword(token, password));
}

/** @param {HTMLElement} page @param {import('./main.js').Context} context */
export function showUndoEmail(page, context) {
  showNewPassword(page, context, '/undo-email', 'Recover your account', 'Your account and e-mail address are restored',
    (token, password) => rest.undoEmail(token, password));
}

/**
 * @param {(token: string, password: string) => Promise<any>} send
 * @param {HTMLElement} page @param {import('./main.js').Context} context @param {string} path @param {string} title @param {string} done
 */
function showNewPassword(page, context, path, title, done, send) {
  const token = context.query.get('token') ?? '';
  // The token is a secret: it need not stay in the address bar or the history.
  history.replaceState(null, '', path);
  const password = field('New password', {
    name: 'password', type: 'password', autocomplete: 'new-password', required: true, minlength: 8, hint: 'At least 8 characters.',
  });
  const card = h('div', { class: 'card' }, h('h1', {}, title), form({
    action: 'Set password',
    submit: async () => {
      await send(token, password.input.value);
      card.replaceChildren(h('h1', {}, done), h('a', { class: 'button primary', href: '/' }, 'Sign in'));
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
    h('div', { class: 'card' }, h('h1', {}, 'Your address is confirmed'), h('a', { class: 'button primary', href: '/' }, 'Go to the home page'))));
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
        sent.textContent = 'If an account has this address, an e-mail with a link is on its way.';
      },
    }, email.element, sent),
    h('p', { class: 'aside' }, h('button', { class: 'link', type: 'button', onclick: back }, 'Back to sign in')),
  ];
}
