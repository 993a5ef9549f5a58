/** Proof of who is signed in: what takes an account over needs a recent one, and this dialog asks for it. */
import { show } from './dialogs.js';
import { h } from './dom.js';
import { field, form } from './fields.js';
import { hasPasskeys, passkeyAnswer } from './passkeys.js';
import { rest } from './session.js';
import { codeOf } from './format.js';

/** Do what may need a recent proof: where it does, ask for one and do it again. @template T @param {() => Promise<T>} act */
export async function withProof(act) {
  try {
    return await act();
  } catch (error) {
    if (codeOf(error) !== 'proof_needed') throw error;
  }
  if ((await askForProof(await rest.get('/users/proof'))) !== 'proved') throw new Error('Nothing was changed.');
  return act();
}

/** @param {{password: boolean, code: boolean, passkey: boolean, identity_providers: string[]}} ways */
function askForProof(ways) {
  return show((dialog) => {
    /** @param {object} proof */
    const prove = async (proof) => {
      await rest.post('/users/proof', proof);
      dialog.close('proved');
    };
    return [
      h('h2', {}, 'Confirm that it is you'),
      h('p', {}, 'This change needs more than a signed-in session.'),
      ways.password && byPassword(ways.code, prove),
      ways.passkey && hasPasskeys() && form({
        action: 'Use a passkey', submit: async () => prove({ credential: await passkeyAnswer() }),
      }),
      ...ways.identity_providers.map((provider) => h('a', {
        class: 'button', target: '_self',
        href: `/api/v1/auth/oidc/${encodeURIComponent(provider)}/start?prove=true&return_to=/account`,
      }, `Sign in again with ${provider}`)),
      h('div', { class: 'row-actions' }, h('button', { type: 'button', class: 'button', onclick: () => dialog.close('') }, 'Cancel')),
    ];
  });
}

/** @param {boolean} code whether the account has an authenticator app @param {(proof: object) => Promise<void>} prove */
function byPassword(code, prove) {
  const password = field('Your password', { type: 'password', autocomplete: 'current-password', required: true });
  const shown = code && field('Code', {
    autocomplete: 'one-time-code', required: true, maxlength: 20, hint: 'Code from your authenticator app, or a recovery code.',
  });
  return form({
    action: 'Continue',
    submit: () => prove({ password: password.input.value, ...(shown ? { code: shown.input.value.trim() } : {}) }),
  }, password.element, shown && shown.element);
}
