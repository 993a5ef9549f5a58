/** `/account`: profile, password, second factor, passkeys, sessions, and the end of the account. */
import { ask } from './dialogs.js';
import { brand } from './brand.js';
import { h } from './dom.js';
import { field, form } from './fields.js';
import { dateTime } from './format.js';
import { hasPasskeys, makePasskey } from './passkeys.js';
import { withProof } from './proof.js';
import { currentUser, forgetUser, rest } from './session.js';
import { toast } from './toasts.js';

/** @param {HTMLElement} page @param {import('./main.js').Context} context */
export async function showAccount(page, context) {
  const user = await currentUser();
  if (context.signal.aborted) return;
  if (!user) {
    context.navigate('/?next=/account');
    return;
  }
  const demanded = context.query.get('second-factor') !== null;
  page.replaceChildren(
    h('header', { class: 'top' }, brand(), h('div', { class: 'top-account' }, h('a', { class: 'button', href: '/' }, 'Meetings'))),
    h('main', { class: 'account' },
      h('h1', {}, 'Your account'),
      demanded && h('p', { class: 'card notice', role: 'status' },
        'This server requires a second factor. Add a passkey or an authenticator app to continue.'),
      section('Passkeys', await passkeys()),
      section('Authenticator app', authenticator(user)),
      !demanded && section('Profile', profile(user)),
      !demanded && section('Password', password()),
      !demanded && section('Active sessions', await sessions()),
      !demanded && section('Delete account', deletion(context))),
  );
}

/** @param {string} title @param {...(Node|string)} content */
function section(title, ...content) {
  return h('section', { class: 'card' }, h('h2', {}, title), ...content);
}

async function passkeys() {
  const list = h('ul', { class: 'account-list' });
  const load = async () => {
    const found = (await rest.get('/users/passkeys')).passkeys;
    list.replaceChildren(...(found.length > 0 ? found.map(row) : [h('li', { class: 'empty' }, 'None yet.')]));
  };
  /** @param {any} key */
  const row = (key) => h('li', {},
    h('span', {}, key.name, h('span', { class: 'hint' }, ` since ${dateTime(key.created_at)}`)),
    removal(key));
  /** @param {any} key */
  const removal = (key) => form({
    action: 'Remove',
    submit: async () => {
      await withProof(() => rest.delete(`/users/passkeys/${encodeURIComponent(key.id)}`));
      await load();
    },
  });
  const name = field('Name', { name: 'passkey', maxlength: 200, required: true, placeholder: 'This laptop' });
  await load();
  return h('div', {}, list, hasPasskeys()
    ? form({
      action: 'Add a passkey',
      submit: async () => {
        await withProof(() => makePasskey(name.input.value.trim()));
        await load();
        toast('Passkey added.');
      },
    }, name.element)
    : h('p', { class: 'hint' }, 'Passkeys are not available here: they need HTTPS and a host name.'));
}

/** @param {any} user */
function authenticator(user) {
  const holder = h('div', {});
  const begin = () => {
    holder.replaceChildren(form({
      action: 'Set up',
      submit: async () => confirm(await withProof(() => rest.post('/users/totp/begin'))),
    }));
  };
  /** @param {{secret: string, uri: string}} begun */
  const confirm = ({ secret, uri }) => {
    const code = field('Code shown in the app', { autocomplete: 'one-time-code', required: true, maxlength: 6, minlength: 6 });
    holder.replaceChildren(
      h('p', {}, 'Add this secret to your authenticator app: ', h('code', {}, secret), ' ', h('a', { href: uri, target: '_self' }, 'Open in the app')),
      form({
        action: 'Turn on',
        submit: async () => {
          const given = { code: code.input.value.trim() };
          const { recovery_codes: codes } = await withProof(() => rest.post('/users/totp/confirm', given));
          holder.replaceChildren(
            h('p', { role: 'status' }, 'The authenticator app is on. Save these recovery codes: each works once, and they are not shown again.'),
            h('ul', { class: 'recovery-codes' }, ...codes.map((/** @type {string} */ one) => h('li', {}, h('code', {}, one)))));
        },
      }, code.element));
  };
  begin();
  return h('div', {}, holder, h('details', {}, h('summary', {}, 'Turn it off'), form({
    action: 'Turn off',
    submit: async () => {
      await withProof(() => rest.delete('/users/totp'));
      toast(`${user.username} can now sign in without a code.`);
    },
  })));
}

/** @param {any} user */
function profile(user) {
  const name = field('Display name', { name: 'display_name', maxlength: 200, required: true, value: user.display_name });
  const email = field('E-mail', {
    name: 'email', type: 'email', autocomplete: 'email', value: user.email ?? '',
  });
  const state = h('div', {});
  /** @param {any} told a user */
  const tell = (told) => state.replaceChildren(...addressState(told));
  tell(user);
  return h('div', {}, form({
    action: 'Save',
    submit: async () => {
      const changed = { display_name: name.input.value.trim(), email: email.input.value.trim() || null };
      tell(await withProof(() => rest.put('/users/profile', changed)));
      forgetUser();
      toast('Saved.');
    },
  }, name.element, email.element), state);
}

/** Say whether the address is confirmed, or which one it will be. @returns {HTMLElement[]} @param {any} user */
function addressState(user) {
  const waiting = user.email_pending ?? (user.email_verified ? null : user.email);
  if (!waiting) return user.email ? [h('p', { class: 'hint' }, `${user.email} is confirmed.`)] : [];
  return [
    h('p', { class: 'hint', role: 'status' }, `${waiting} is not confirmed yet. Open the link in the e-mail that we sent there.`),
    form({
      action: 'Send the e-mail again',
      submit: async () => {
        await rest.post('/users/verify-email');
        toast(`Sent to ${waiting}.`);
      },
    }),
  ];
}

function password() {
  const fresh = field('New password', {
    type: 'password', autocomplete: 'new-password', required: true, minlength: 8,
    hint: 'At least 8 characters. This signs out other browsers and revokes API keys.',
  });
  return form({
    action: 'Change password',
    submit: async () => {
      await withProof(() => rest.changePassword(undefined, fresh.input.value));
      fresh.input.value = '';
      toast('Password changed. All other sessions are signed out.');
    },
  }, fresh.element);
}

async function sessions() {
  const list = h('ul', { class: 'account-list' });
  const load = async () => {
    const found = (await rest.get('/users/sessions')).sessions;
    list.replaceChildren(...found.map((/** @type {any} */ one) => h('li', {},
      h('span', {}, one.user_agent || 'A program', h('span', { class: 'hint' }, ` ${one.address}, ${dateTime(one.last_used_at)}`)),
      one.current ? h('span', { class: 'hint' }, 'This session') : h('button', { class: 'button', type: 'button', onclick: () => void revoke(one.id) }, 'Sign out'))));
  };
  /** @param {string} id */
  const revoke = async (id) => {
    await rest.delete(`/users/sessions/${encodeURIComponent(id)}`);
    await load();
  };
  await load();
  return list;
}

/** @param {import('./main.js').Context} context */
function deletion(context) {
  return form({
    action: 'Delete my account',
    submit: async () => {
      const question = 'This also deletes your meetings, recordings and files. It cannot be undone.';
      const answer = await ask('Delete your account?', question, [{ label: 'Delete', value: 'delete', class: 'danger' }]);
      if (answer !== 'delete') return;
      await withProof(() => rest.delete('/users/account'));
      forgetUser();
      context.navigate('/');
    },
  });
}
