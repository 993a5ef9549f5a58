/** `/account`: profile, password, second factor, passkeys, sessions, API keys, and the end of the account. */
import { accountTop } from './account-top.js';
import { apiKeys } from './api-keys.js';
import { avatarOf, face, squared } from './avatars.js';
import { ask } from './dialogs.js';
import { h } from './dom.js';
import { field, form } from './fields.js';
import { dateTime, hue, sentenceOf } from './format.js';
import { icon } from './icons.js';
import { notificationSwitches } from './notification-switches.js';
import { hasPasskeys, makePasskey } from './passkeys.js';
import { withProof } from './proof.js';
import { saveFile } from './save-file.js';
import { currentUser, forgetUser, rest } from './session.js';
import { toast } from './toasts.js';
import { rich, t } from './words.js';

/** @param {HTMLElement} page @param {import('./main.js').Context} context */
export async function showAccount(page, context) {
  const user = await currentUser();
  if (context.signal.aborted) return;
  if (!user) {
    context.navigate('/?next=/account');
    return;
  }
  const demanded = context.query.get('second-factor') !== null;
  const notifications = section(t('notify.title'), demanded ? '' : await notificationSwitches());
  // Mails link to this section.
  notifications.id = 'notifications';
  page.replaceChildren(
    accountTop(context, user),
    h('main', { class: 'account' },
      h('h1', {}, t('account.title')),
      demanded && h('p', { class: 'card notice', role: 'status' },
        t('account.second-factor')),
      section(t('account.passkeys'), await passkeys()),
      section(t('account.app'), authenticator(user)),
      !demanded && section(t('account.profile'), picture(user, context), profile(user)),
      !demanded && section(t('account.password'), password()),
      !demanded && notifications,
      !demanded && section(t('account.active'), await sessions()),
      !demanded && section(t('api-keys.title'), await apiKeys(user)),
      !demanded && section(t('network.title'), networkTest()),
      !demanded && section(t('account.data'), dataExport()),
      !demanded && section(t('account.delete'), deletion(context))),
  );
  if (location.hash === '#notifications') notifications.scrollIntoView();
}

/** @param {string} title @param {...(Node|string)} content */
function section(title, ...content) {
  return h('section', { class: 'card' }, h('h2', {}, title), ...content);
}

async function passkeys() {
  const list = h('ul', { class: 'account-list' });
  const load = async () => {
    const found = (await rest.get('/users/passkeys')).passkeys;
    list.replaceChildren(...(found.length > 0 ? found.map(row) : [h('li', { class: 'empty' }, t('account.none'))]));
  };
  /** @param {any} key */
  const row = (key) => h('li', {},
    h('span', {}, key.name, h('span', { class: 'hint' }, ` ${t('account.passkey-since', { time: dateTime(key.created_at) })}`)),
    removal(key));
  /** @param {any} key */
  const removal = (key) => form({
    action: t('action.remove'),
    label: t('account.passkey-remove', { name: key.name }),
    manner: '',
    submit: async () => {
      await withProof(() => rest.delete(`/users/passkeys/${encodeURIComponent(key.id)}`));
      await load();
    },
  });
  const name = field(t('account.passkey-name'), { name: 'passkey', maxlength: 200, required: true, placeholder: t('account.passkey-example') });
  await load();
  return h('div', {}, list, hasPasskeys()
    ? form({
      action: t('account.passkey-add'),
      submit: async () => {
        await withProof(() => makePasskey(name.input.value.trim()));
        await load();
        toast(t('account.passkey-added'));
      },
    }, name.element)
    : h('p', { class: 'hint' }, t('account.passkey-none')));
}

/** @param {any} user */
function authenticator(user) {
  const holder = h('div', {});
  const begin = () => {
    holder.replaceChildren(form({
      action: t('account.app-set-up'),
      manner: '',
      submit: async () => confirm(await withProof(() => rest.post('/users/totp/begin'))),
    }));
  };
  /** @param {{secret: string, uri: string}} begun */
  const confirm = async ({ secret, uri }) => {
    const { qrCode } = await import('./qr-code.js');
    const code = field(t('account.app-code'), { autocomplete: 'one-time-code', required: true, maxlength: 6, minlength: 6 });
    holder.replaceChildren(
      h('div', { class: 'authenticator' }, qrCode(uri, t('account.qr')),
        h('p', {}, ...rich('account.app-secret', { secret: h('code', {}, secret) }), ' ', h('a', { href: uri, target: '_self' }, t('account.app-open')))),
      form({
        action: t('account.app-on'),
        submit: async () => {
          const given = { code: code.input.value.trim() };
          const { recovery_codes: codes } = await withProof(() => rest.post('/users/totp/confirm', given));
          holder.replaceChildren(
            h('p', { role: 'status' }, t('account.app-on-done')),
            h('ul', { class: 'recovery-codes' }, ...codes.map((/** @type {string} */ one) => h('li', {}, h('code', {}, one)))));
        },
      }, code.element));
  };
  begin();
  return h('div', {}, holder, h('details', { class: 'apart' }, h('summary', {}, t('account.app-off')), form({
    action: t('account.app-off-action'),
    manner: '',
    submit: async () => {
      await withProof(() => rest.delete('/users/totp'));
      toast(t('account.app-off-done', { name: user.username }));
    },
  })));
}

/** The account's picture and the buttons to change it. The middle square of the chosen file is uploaded. @param {any} user @param {import('./main.js').Context} context */
function picture(user, context) {
  const shown = h('span', { class: 'avatar', 'aria-hidden': 'true' });
  shown.style.setProperty('--hue', String(hue(user.id)));
  face(shown, user.display_name, '');
  if (user.avatar) void avatarOf(user.id, user.avatar).then((url) => face(shown, user.display_name, url));
  const file = h('input', { type: 'file', accept: 'image/*', hidden: true, 'aria-hidden': 'true', tabindex: -1, onchange: () => void choose() });
  /** @param {() => Promise<unknown>} act */
  const change = async (act) => {
    try {
      await act();
      forgetUser();
      context.again();
    } catch (error) {
      toast(error instanceof DOMException ? t('account.picture-failed') : sentenceOf(error), 'problem');
    }
  };
  const choose = () => change(async () => rest.post('/users/upload-avatar', await squared(file.files[0])));
  return h('div', { class: 'picture-choice' }, shown, file,
    h('button', { type: 'button', class: 'button', onclick: () => file.click() }, icon('image'), t(user.avatar ? 'account.picture-change' : 'account.picture-choose')),
    user.avatar && h('button', { type: 'button', class: 'button', onclick: () => void change(() => rest.delete('/users/avatar')) }, t('account.picture-remove')));
}

/** @param {any} user */
function profile(user) {
  const name = field(t('account.display-name'), { name: 'display_name', maxlength: 200, required: true, value: user.display_name });
  const email = field(t('sign-in.email'), {
    name: 'email', type: 'email', autocomplete: 'email', value: user.email ?? '',
  });
  const state = h('div', {});
  /** @param {any} told a user */
  const tell = (told) => state.replaceChildren(...addressState(told));
  tell(user);
  return h('div', {}, form({
    action: t('action.save'),
    submit: async () => {
      const changed = { display_name: name.input.value.trim(), email: email.input.value.trim() || null };
      tell(await withProof(() => rest.put('/users/profile', changed)));
      forgetUser();
      toast(t('account.saved'));
    },
  }, name.element, email.element), state);
}

/** Show whether the e-mail address is confirmed, or which address is waiting for confirmation. @returns {HTMLElement[]} @param {any} user */
function addressState(user) {
  const waiting = user.email_pending ?? (user.email_verified ? null : user.email);
  if (!waiting) return user.email ? [h('p', { class: 'hint' }, t('account.confirmed', { address: user.email }))] : [];
  return [
    h('p', { class: 'hint', role: 'status' }, t('account.confirm-waiting', { address: waiting })),
    form({
      action: t('account.confirm-again'),
      manner: '',
      submit: async () => {
        await rest.post('/users/verify-email');
        toast(t('account.confirm-sent', { address: waiting }));
      },
    }),
  ];
}

function password() {
  const fresh = field(t('link.password-new'), {
    type: 'password', autocomplete: 'new-password', required: true, minlength: 8,
    hint: t('account.password-hint'),
  });
  return form({
    action: t('account.password-action'),
    submit: async () => {
      await withProof(() => rest.changePassword(undefined, fresh.input.value));
      fresh.input.value = '';
      toast(t('account.password-done'));
    },
  }, fresh.element);
}

async function sessions() {
  const list = h('ul', { class: 'account-list' });
  const load = async () => {
    const found = (await rest.get('/users/sessions')).sessions;
    list.replaceChildren(...found.map((/** @type {any} */ one) => h('li', {},
      h('span', {}, one.user_agent || t('account.program'), h('span', { class: 'hint' }, ` ${one.address}, ${dateTime(one.last_used_at)}`)),
      one.current ? h('span', { class: 'hint' }, t('account.session-this')) : h('button', { class: 'button', type: 'button', onclick: () => void revoke(one.id) }, t('account.sign-out')))));
  };
  /** @param {string} id */
  const revoke = async (id) => {
    await rest.delete(`/users/sessions/${encodeURIComponent(id)}`);
    await load();
  };
  await load();
  return list;
}

function dataExport() {
  return h('div', {}, h('p', { class: 'hint' }, t('account.data-text')), form({
    action: t('account.data-action'),
    manner: '',
    submit: async () => saveFile(await withProof(() => rest.blob('/users/export')), 'account.zip'),
  }));
}

function networkTest() {
  return h('div', { class: 'row-actions' }, h('button', { type: 'button', class: 'button', 'data-action': 'network', onclick: async () => void (await import('./network-test-dialog.js')).showNetworkTest() }, icon('signal'), t('network.open')));
}

/** @param {import('./main.js').Context} context */
function deletion(context) {
  return form({
    action: t('account.delete-action'),
    manner: 'danger',
    submit: async () => {
      const question = t('account.delete-text');
      const answer = await ask(t('account.delete-ask'), question, [{ label: t('action.delete'), value: 'delete', class: 'danger' }]);
      if (answer !== 'delete') return;
      await withProof(() => rest.delete('/users/account'));
      forgetUser();
      context.navigate('/');
    },
  });
}
