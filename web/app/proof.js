/** The dialog that asks for a proof of identity. Actions that could take over an account need a recent one. */
import { show } from './dialogs.js';
import { h } from './dom.js';
import { field, form } from './fields.js';
import { hasPasskeys, passkeyAnswer } from './passkeys.js';
import { rest } from './session.js';
import { codeOf } from './format.js';
import { t } from './words.js';

/** Run an action that may need a recent proof: if it does, ask for one and run it again. @template T @param {() => Promise<T>} act */
export async function withProof(act) {
  try {
    return await act();
  } catch (error) {
    if (codeOf(error) !== 'proof_needed') throw error;
  }
  if ((await askForProof(await rest.get('/users/proof'))) !== 'proved') throw new Error(t('proof.nothing'));
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
      h('h2', {}, t('proof.title')),
      h('p', {}, t('proof.text')),
      ways.password && byPassword(ways.code, prove),
      ways.passkey && hasPasskeys() && form({
        action: t('sign-in.passkey'), submit: async () => prove({ credential: await passkeyAnswer() }),
      }),
      ...ways.identity_providers.map((provider) => h('a', {
        class: 'button', target: '_self',
        href: `/api/v1/auth/oidc/${encodeURIComponent(provider)}/start?prove=true&return_to=/account`,
      }, t('proof.provider', { provider }))),
      h('div', { class: 'row-actions' }, h('button', { type: 'button', class: 'button', onclick: () => dialog.close('') }, t('action.cancel'))),
    ];
  });
}

/** @param {boolean} code true if the account has an authenticator app @param {(proof: object) => Promise<void>} prove */
function byPassword(code, prove) {
  const password = field(t('proof.password'), { type: 'password', autocomplete: 'current-password', required: true });
  const shown = code && field(t('sign-in.code'), {
    autocomplete: 'one-time-code', required: true, maxlength: 20, hint: t('sign-in.code-hint'),
  });
  return form({
    action: t('proof.action'),
    submit: () => prove({ password: password.input.value, ...(shown ? { code: shown.input.value.trim() } : {}) }),
  }, password.element, shown && shown.element);
}
