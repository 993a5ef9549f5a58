/** Signing in and registering: password, second factor, passkey, identity provider. */
import { forgotPassword } from './account-links.js';
import { h } from './dom.js';
import { field, form } from './fields.js';
import { hasPasskeys, signInWithPasskey } from './passkeys.js';
import { rest } from './session.js';
import { codeOf } from './format.js';
import { rich, t } from './words.js';

/**
 * A card for signing in or registering. @param {{registration: string, identity_providers?: string[]}} server
 * @param {(answer: {second_factor_setup?: boolean}) => void} entered @param {string} returnTo path to return to
 */
export function signInCard(server, entered, returnTo) {
  const card = h('div', { class: 'card' });
  // From the link that an administrator sent.
  const given = new URLSearchParams(location.search).get('invitation') ?? '';
  /** @param {(Node|string|null|undefined|false)[]} parts */
  const show = (parts) => card.replaceChildren(...parts.filter(Boolean));
  const showSignIn = () => show(signIn());
  const showRegister = () => show(register());
  /** @param {{username: string, password: string}} credentials */
  const showCode = (credentials) => show(secondStep(credentials));

  function signIn() {
    const name = field(t('sign-in.name'), { name: 'username', autocomplete: 'username webauthn', required: true });
    const password = field(t('sign-in.password'), { name: 'password', type: 'password', autocomplete: 'current-password', required: true });
    const open = server.registration !== 'closed';
    return [
      h('h2', {}, t('sign-in.action')),
      form({
        action: t('sign-in.action'),
        submit: async () => {
          const credentials = { username: name.input.value.trim(), password: password.input.value };
          try {
            entered(await rest.login(credentials));
          } catch (error) {
            if (codeOf(error) === 'second_factor_required') showCode(credentials);
            else if (codeOf(error) === 'passkey_required') entered(await signInWithPasskey());
            else throw error;
          }
        },
      }, name.element, password.element),
      otherWays(),
      h('p', { class: 'aside' },
        ...(open ? rich('sign-in.new', { link: linkTo(showRegister) }) : []), open && ' · ',
        linkTo(() => show(forgotPassword(showSignIn)))(t('sign-in.forgot'))),
    ];
  }

  function otherWays() {
    const providers = server.identity_providers ?? [];
    if (providers.length === 0 && !hasPasskeys()) return null;
    return h('div', { class: 'form other-ways' },
      ...providers.map((provider) => h('a', {
        class: 'button', target: '_self',
        href: `/api/v1/auth/oidc/${encodeURIComponent(provider)}/start?return_to=${encodeURIComponent(returnTo)}`,
      }, t('sign-in.provider', { provider }))),
      hasPasskeys() && form({ action: t('sign-in.passkey'), manner: '', submit: async () => entered(await signInWithPasskey()) }));
  }

  /** @param {{username: string, password: string}} credentials */
  function secondStep(credentials) {
    const code = field(t('sign-in.code'), {
      name: 'code', autocomplete: 'one-time-code', inputmode: 'text', required: true, maxlength: 20,
      hint: t('sign-in.code-hint'),
    });
    queueMicrotask(() => code.input.focus());
    return [
      h('h2', {}, t('sign-in.second')),
      form({
        action: t('sign-in.action'),
        submit: async () => entered(await rest.login({ ...credentials, code: code.input.value.trim() })),
      }, code.element),
      h('p', { class: 'aside' }, h('button', { class: 'link', type: 'button', onclick: showSignIn }, t('action.back'))),
    ];
  }

  function register() {
    const name = field(t('sign-in.username'), { name: 'username', autocomplete: 'username', required: true, minlength: 2 });
    const email = field(t('sign-in.email'), { name: 'email', type: 'email', autocomplete: 'email', required: true });
    const password = field(t('sign-in.password'), {
      name: 'password', type: 'password', autocomplete: 'new-password', required: true, minlength: 8, hint: t('hint.password'),
    });
    const invitation = field(t('sign-in.invitation'), { name: 'invitation', required: true, value: given });
    const invited = server.registration === 'invite';
    return [
      h('h2', {}, t('sign-in.create')),
      form({
        action: t('sign-in.create-action'),
        submit: async () => {
          const answer = await rest.register({
            username: name.input.value.trim(),
            email: email.input.value.trim(),
            password: password.input.value,
            ...(invited ? { invitation: invitation.input.value.trim() } : {}),
          });
          if (answer.user) entered(answer);
          else show(confirmFirst(answer.email));
        },
      }, name.element, email.element, password.element, invited && invitation.element),
      h('p', { class: 'aside' }, ...rich('sign-in.have', { link: linkTo(showSignIn) })),
    ];
  }

  /** @param {string} address */
  function confirmFirst(address) {
    return [
      h('h2', {}, t('sign-in.confirm')),
      h('p', { role: 'status' }, t('sign-in.confirm-text', { address })),
      h('p', { class: 'aside' }, h('button', { class: 'link', type: 'button', onclick: showSignIn }, t('sign-in.action'))),
    ];
  }

  /** A button that looks like a link, for `rich`. @param {() => void} onclick @returns {(words: string) => HTMLElement} */
  function linkTo(onclick) {
    return (words) => h('button', { class: 'link', type: 'button', onclick }, words);
  }

  if (given && server.registration === 'invite') showRegister();
  else showSignIn();
  return card;
}
