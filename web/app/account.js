/** `/account`: profile, password, second factor, passkeys, sessions, and the end of the account. */
import { ask } from './dialogs.js';
import { brand } from './brand.js';
import { h } from './dom.js';
import { field, form } from './fields.js';
import { dateTime } from './format.js';
import { hasPasskeys, makePasskey } from './passkeys.js';
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
        'This server asks everybody for a second factor: add a passkey or an authenticator app, then go on.'),
      section('Passkeys', await passkeys()),
      section('Authenticator app', authenticator(user)),
      !demanded && section('Profile', profile(user)),
      !demanded && section('Password', password()),
      !demanded && section('Where you are signed in', await sessions()),
      !demanded && section('Delete account', deletion(context))),
  );
}

function section(title, ...content) {
  return h('section', { class: 'card' }, h('h2', {}, title), ...content);
}

function passwordField() {
  return field('Your password', { type: 'password', autocomplete: 'current-password', required: true });
}

async function passkeys() {
  const list = h('ul', { class: 'account-list' });
  const load = async () => {
    const found = (await rest.get('/users/passkeys')).passkeys;
    list.replaceChildren(...(found.length > 0 ? found.map(row) : [h('li', { class: 'empty' }, 'None yet.')]));
  };
  const row = (key) => h('li', {},
    h('span', {}, key.name, h('span', { class: 'hint' }, ` since ${dateTime(key.created_at)}`)),
    removal(key));
  const removal = (key) => {
    const given = passwordField();
    const element = h('details', {}, h('summary', {}, 'Remove'), form({
      action: 'Remove',
      submit: async () => {
        await rest.delete(`/users/passkeys/${encodeURIComponent(key.id)}`, { password: given.input.value });
        await load();
      },
    }, given.element));
    return element;
  };
  const name = field('Name', { name: 'passkey', maxlength: 200, required: true, placeholder: 'This laptop' });
  const given = passwordField();
  await load();
  return h('div', {}, list, hasPasskeys()
    ? form({
      action: 'Add a passkey',
      submit: async () => {
        await makePasskey(name.input.value.trim(), given.input.value);
        given.input.value = '';
        await load();
        toast('Passkey added.');
      },
    }, name.element, given.element)
    : h('p', { class: 'hint' }, 'This browser has no passkeys at this address: they need HTTPS and a host name.'));
}

function authenticator(user) {
  const holder = h('div', {});
  const begin = () => {
    const given = passwordField();
    holder.replaceChildren(form({
      action: 'Set up',
      submit: async () => confirm(await rest.post('/users/totp/begin', { password: given.input.value })),
    }, given.element));
  };
  const confirm = ({ secret, uri }) => {
    const code = field('Code that the app shows', { autocomplete: 'one-time-code', required: true, maxlength: 6, minlength: 6 });
    holder.replaceChildren(
      h('p', {}, 'Add this secret to your authenticator app: ', h('code', {}, secret), ' ', h('a', { href: uri, target: '_self' }, 'Open in the app')),
      form({
        action: 'Turn on',
        submit: async () => {
          const { recovery_codes: codes } = await rest.post('/users/totp/confirm', { code: code.input.value.trim() });
          holder.replaceChildren(
            h('p', { role: 'status' }, 'It is on. Keep these recovery codes: each is good for one sign-in, and they are shown only now.'),
            h('ul', { class: 'recovery-codes' }, ...codes.map((one) => h('li', {}, h('code', {}, one)))));
        },
      }, code.element));
  };
  const off = passwordField();
  begin();
  return h('div', {}, holder, h('details', {}, h('summary', {}, 'Turn it off'), form({
    action: 'Turn off',
    submit: async () => {
      await rest.delete('/users/totp', { password: off.input.value });
      toast(`${user.username} signs in without a code now.`);
    },
  }, off.element)));
}

function profile(user) {
  const name = field('Name that others see', { name: 'display_name', maxlength: 200, required: true, value: user.display_name });
  const email = field('E-mail', {
    name: 'email', type: 'email', autocomplete: 'email', value: user.email ?? '',
    hint: user.email_verified ? 'Confirmed.' : 'Not confirmed.',
  });
  return form({
    action: 'Save',
    submit: async () => {
      await rest.put('/users/profile', { display_name: name.input.value.trim(), email: email.input.value.trim() || null });
      forgetUser();
      toast('Saved.');
    },
  }, name.element, email.element);
}

function password() {
  const old = passwordField();
  const fresh = field('New password', { type: 'password', autocomplete: 'new-password', required: true, minlength: 8, hint: 'At least 8 characters.' });
  return form({
    action: 'Change password',
    submit: async () => {
      await rest.changePassword(old.input.value, fresh.input.value);
      old.input.value = '';
      fresh.input.value = '';
      toast('Changed. Everybody else is signed out.');
    },
  }, old.element, fresh.element);
}

async function sessions() {
  const list = h('ul', { class: 'account-list' });
  const load = async () => {
    const found = (await rest.get('/users/sessions')).sessions;
    list.replaceChildren(...found.map((one) => h('li', {},
      h('span', {}, one.user_agent || 'A program', h('span', { class: 'hint' }, ` ${one.address}, ${dateTime(one.last_used_at)}`)),
      one.current ? h('span', { class: 'hint' }, 'This one') : h('button', { class: 'button', type: 'button', onclick: () => void revoke(one.id) }, 'Sign out'))));
  };
  const revoke = async (id) => {
    await rest.delete(`/users/sessions/${encodeURIComponent(id)}`);
    await load();
  };
  await load();
  return list;
}

function deletion(context) {
  const given = passwordField();
  return form({
    action: 'Delete my account',
    submit: async () => {
      const question = 'Your meetings, recordings and files are deleted with it. This cannot be undone.';
      const answer = await ask('Delete your account?', question, [{ label: 'Delete', value: 'delete', class: 'danger' }]);
      if (answer !== 'delete') return;
      await rest.delete('/users/account', { password: given.input.value });
      forgetUser();
      context.navigate('/');
    },
  }, given.element);
}
