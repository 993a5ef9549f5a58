/** The REST client of this page and the account that is signed in. */
import { Rest } from '/sdk/rest.js';

export const rest = new Rest();

/** @type {Promise<any>|null} */
let profile = null;

/** @returns {Promise<{id: string, username: string, display_name: string, role: string, avatar?: string|null}|null>} null if signed out */
export function currentUser() {
  profile ??= rest.profile();
  profile.catch(() => forgetUser());
  return profile;
}

/** Load the account again, because the session changed. */
export function forgetUser() {
  profile = null;
}
