/** `/setup?token=…`: creates the first administrator, with the link that the server printed. */
import { h } from './dom.js';
import { field, form } from './fields.js';
import { forgetUser, rest } from './session.js';
import { top } from './shell.js';
import { t } from './words.js';

/** @param {HTMLElement} page @param {import('./main.js').Context} context */
export function showSetup(page, context) {
  const token = context.query.get('token') ?? '';
  // The token is a secret: remove it from the address bar and the history.
  history.replaceState(null, '', '/setup');
  const name = field(t('sign-in.username'), { name: 'username', autocomplete: 'username', required: true, minlength: 2 });
  const email = field(t('sign-in.email'), { name: 'email', type: 'email', autocomplete: 'email', required: true });
  const password = field(t('sign-in.password'), {
    name: 'password', type: 'password', autocomplete: 'new-password', required: true, minlength: 8, hint: t('hint.password'),
  });
  page.replaceChildren(
    top(context),
    h('main', { class: 'centred' },
      h('div', { class: 'card' },
        h('h1', {}, t('setup.title')),
        h('p', { class: 'lead' }, t('setup.text')),
        token
          ? form({
            action: t('setup.action'),
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
          : h('p', { class: 'problem' }, t('setup.incomplete')))),
  );
}
