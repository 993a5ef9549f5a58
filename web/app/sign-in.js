/** Signing in and registering: password, code of a second factor, passkey, identity provider. */
import { forgotPassword } from './account-links.js';
import { h } from './dom.js';
import { field, form } from './fields.js';
import { hasPasskeys, signInWithPasskey } from './passkeys.js';
import { rest } from './session.js';
import { codeOf } from './format.js';

/**
 * A card that signs somebody in. @param {{registration: string, identity_providers?: string[]}} server
 * @param {(answer: {second_factor_setup?: boolean}) => void} entered @param {string} returnTo path to come back to
 */
export function signInCard(server, entered, returnTo) {
  const card = h('div', { class: 'card' });
  /** @param {(Node|string|null|undefined|false)[]} parts */
  const show = (parts) => card.replaceChildren(...parts.filter(Boolean));
  const showSignIn = () => show(signIn());
  const showRegister = () => show(register());
  /** @param {{username: string, password: string}} credentials */
  const showCode = (credentials) => show(secondStep(credentials));

  function signIn() {
    const name = field('User name or e-mail', { name: 'username', autocomplete: 'username webauthn', required: true });
    const password = field('Password', { name: 'password', type: 'password', autocomplete: 'current-password', required: true });
    const open = server.registration !== 'closed';
    return [
      h('h2', {}, 'Sign in'),
      form({
        action: 'Sign in',
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
        open && 'New here? ', open && h('button', { class: 'link', type: 'button', onclick: showRegister }, 'Create an account'), open && ' · ',
        h('button', { class: 'link', type: 'button', onclick: () => show(forgotPassword(showSignIn)) }, 'Forgot password?')),
    ];
  }

  function otherWays() {
    const providers = server.identity_providers ?? [];
    if (providers.length === 0 && !hasPasskeys()) return null;
    return h('div', { class: 'form other-ways' },
      ...providers.map((provider) => h('a', {
        class: 'button', target: '_self',
        href: `/api/v1/auth/oidc/${encodeURIComponent(provider)}/start?return_to=${encodeURIComponent(returnTo)}`,
      }, `Continue with ${provider}`)),
      hasPasskeys() && form({ action: 'Use a passkey', submit: async () => entered(await signInWithPasskey()) }));
  }

  /** @param {{username: string, password: string}} credentials */
  function secondStep(credentials) {
    const code = field('Code', {
      name: 'code', autocomplete: 'one-time-code', inputmode: 'text', required: true, maxlength: 20,
      hint: 'Code from your authenticator app, or a recovery code.',
    });
    queueMicrotask(() => code.input.focus());
    return [
      h('h2', {}, 'One more step'),
      form({
        action: 'Sign in',
        submit: async () => entered(await rest.login({ ...credentials, code: code.input.value.trim() })),
      }, code.element),
      h('p', { class: 'aside' }, h('button', { class: 'link', type: 'button', onclick: showSignIn }, 'Back')),
    ];
  }

  function register() {
    const name = field('User name', { name: 'username', autocomplete: 'username', required: true, minlength: 2 });
    const email = field('E-mail', { name: 'email', type: 'email', autocomplete: 'email', required: true });
    const password = field('Password', {
      name: 'password', type: 'password', autocomplete: 'new-password', required: true, minlength: 8, hint: 'At least 8 characters.',
    });
    const invitation = field('Invitation', { name: 'invitation', required: true });
    const invited = server.registration === 'invite';
    return [
      h('h2', {}, 'Create an account'),
      form({
        action: 'Create account',
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
      h('p', { class: 'aside' }, 'Have an account? ', h('button', { class: 'link', type: 'button', onclick: showSignIn }, 'Sign in')),
    ];
  }

  /** @param {string} address */
  function confirmFirst(address) {
    return [
      h('h2', {}, 'Confirm your address'),
      h('p', { role: 'status' }, `We sent an e-mail to ${address}. Open the link in it, then sign in.`),
      h('p', { class: 'aside' }, h('button', { class: 'link', type: 'button', onclick: showSignIn }, 'Sign in')),
    ];
  }

  showSignIn();
  return card;
}
