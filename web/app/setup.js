/** `/setup?token=…`: make the first administrator with the link that the server printed. */
import { brand } from './brand.js';
import { h } from './dom.js';
import { field, form } from './fields.js';
import { forgetUser, rest } from './session.js';

/** @param {HTMLElement} page @param {import('./main.js').Context} context */
export function showSetup(page, context) {
  const token = context.query.get('token') ?? '';
  // The token is a secret: it need not stay in the address bar or the history.
  history.replaceState(null, '', '/setup');
  const name = field('User name', { name: 'username', autocomplete: 'username', required: true, minlength: 2 });
  const email = field('E-mail', { name: 'email', type: 'email', autocomplete: 'email', required: true });
  const password = field('Password', {
    name: 'password', type: 'password', autocomplete: 'new-password', required: true, minlength: 8, hint: 'At least 8 characters.',
  });
  page.replaceChildren(
    h('main', { class: 'centred' },
      brand(),
      h('div', { class: 'card' },
        h('h1', {}, 'Set up this server'),
        h('p', { class: 'lead' }, 'The first account is the administrator. The link works once.'),
        token
          ? form({
            action: 'Create administrator',
            submit: async () => {
              await rest.setup({
                token,
                username: name.input.value.trim(),
                email: email.input.value.trim(),
                password: password.input.value,
              });
              forgetUser();
              context.navigate('/');
            },
          }, name.element, email.element, password.element)
          : h('p', { class: 'problem' }, 'The link is incomplete. Open it exactly as the server printed it.'))),
  );
}
