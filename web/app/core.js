/** The modules that most views share: the build makes one file of them. */
export * as accountLinks from './account-links.js';
export * as brand from './brand.js';
export * as appearance from './appearance.js';
export * as copyLink from './copy-link.js';
export * as dialogs from './dialogs.js';
export * as dom from './dom.js';
export * as fields from './fields.js';
export * as format from './format.js';
export * as icons from './icons.js';
export * as passkeys from './passkeys.js';
export * as preferences from './preferences.js';
export * as proof from './proof.js';
export * as shell from './shell.js';
export * as session from './session.js';
export * as toasts from './toasts.js';
export * as words from './words.js';
