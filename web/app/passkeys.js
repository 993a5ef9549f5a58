/** Passkeys: the browser's side of Web Authentication (Level 3), in its JSON encodings. */
import { rest } from './session.js';
import { t } from './words.js';

/** True if passkeys work in this browser on this origin. */
export function hasPasskeys() {
  return window.isSecureContext && typeof window.PublicKeyCredential?.parseRequestOptionsFromJSON === 'function';
}

/** Ask for any passkey of this server, and return the assertion. */
export async function passkeyAnswer() {
  const { options } = await rest.post('/auth/passkey/begin');
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  return (await asked(navigator.credentials.get({ publicKey }))).toJSON();
}

/** Sign in with a passkey. */
export async function signInWithPasskey() {
  return rest.loginWithPasskey(await passkeyAnswer());
}

/** Create a passkey for the signed-in account. @param {string} name */
export async function makePasskey(name) {
  const { options } = await rest.post('/users/passkeys/begin');
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  const credential = await asked(navigator.credentials.create({ publicKey }));
  return rest.post('/users/passkeys', { name, credential: credential.toJSON() });
}

/** Replace the browser's messages for a refusal, which are meant for developers. @returns {Promise<any>} @param {Promise<any>} promise */
async function asked(promise) {
  try {
    return await promise;
  } catch (error) {
    const isKnown = error instanceof DOMException && error.name === 'InvalidStateError';
    throw new Error(t(isKnown ? 'account.passkey-known' : 'account.passkey-unused'));
  }
}
