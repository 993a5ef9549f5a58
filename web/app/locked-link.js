/** Views of a shared link that does not open yet: they ask for its passcode, an address or an account. */
import { titleOf } from './brand.js';
import { h } from './dom.js';
import { field, form } from './fields.js';
import { sentenceOf } from './format.js';
import { rest } from './session.js';
import { top } from './shell.js';
import { t } from './words.js';

/** A form for the passcode of a link. @param {HTMLElement} page @param {string} path @param {import('./main.js').Context} context */
function askPasscode(page, path, context) {
  document.title = titleOf(t('share.locked'));
  const passcode = field(t('share.passcode'), { type: 'password', name: 'passcode', required: true, maxlength: 64, autocomplete: 'off' });
  page.replaceChildren(top(context), h('main', { class: 'centred' }, h('div', { class: 'card' },
    h('h1', {}, t('share.locked')),
    h('p', { class: 'hint' }, t('share.locked-text')),
    form({
      action: t('share.open'),
      submit: async () => {
        await rest.post(`${path}/open`, { passcode: passcode.input.value });
        context.again();
      },
    }, passcode.element))));
  passcode.input.focus();
}

/**
 * A form that has a code mailed to an address of the link's domains, then asks for it. Accounts with such an address sign in instead.
 * @param {HTMLElement} page @param {string} path @param {import('./main.js').Context} context @param {unknown} refusal names the domains
 */
function askAddress(page, path, context, refusal) {
  document.title = titleOf(t('share.locked'));
  const address = field(t('share.address'), { type: 'email', name: 'email', required: true, maxlength: 254, autocomplete: 'email' });
  const code = field(t('share.code'), { type: 'text', name: 'code', required: true, maxlength: 20, inputmode: 'numeric', autocomplete: 'one-time-code' });
  const holder = h('div', {});
  const enter = () => form({
    action: t('share.open'),
    submit: async () => {
      await rest.post(`${path}/open`, { address: address.input.value, code: code.input.value });
      context.again();
    },
  }, h('p', { class: 'hint', role: 'status' }, t('share.code-sent', { address: address.input.value })), code.element);
  holder.append(form({
    action: t('share.code-mail'),
    submit: async () => {
      await rest.post(`${path}/code`, { address: address.input.value });
      holder.replaceChildren(enter());
      code.input.focus();
    },
  }, address.element));
  lockedPage(page, context, refusal, holder);
  address.input.focus();
}

/** The page of a link for accounts only. @param {HTMLElement} page @param {string} _path @param {import('./main.js').Context} context @param {unknown} refusal */
function askAccount(page, _path, context, refusal) {
  document.title = titleOf(t('share.locked'));
  lockedPage(page, context, refusal);
}

/** @param {HTMLElement} page @param {import('./main.js').Context} context @param {unknown} refusal @param {...any} below */
function lockedPage(page, context, refusal, ...below) {
  page.replaceChildren(top(context), h('main', { class: 'centred' }, h('div', { class: 'card' },
    h('h1', {}, t('share.locked')),
    h('p', { class: 'hint' }, sentenceOf(refusal)),
    ...below,
    h('p', {}, h('a', { class: 'link', href: `/?next=${encodeURIComponent(location.pathname)}` }, t('share.sign-in'))))));
}

/** What to show for the reasons for which a link does not open yet. @type {Record<string, (page: HTMLElement, path: string, context: import('./main.js').Context, refusal: unknown) => void>} */
export const KEYS = { link_passcode_required: askPasscode, link_address_required: askAddress, link_account_required: askAccount };
