/** The header of every view of a signed-in account outside a call: the same ways to its meetings, recordings and settings. */
import { h } from './dom.js';
import { iconButton } from './fields.js';
import { icon } from './icons.js';
import { person } from './person.js';
import { forgetUser, rest } from './session.js';
import { top } from './shell.js';
import { t } from './words.js';

/** @param {import('./main.js').Context} context @param {any} user @returns {HTMLElement} */
export function accountTop(context, user) {
  return top(context,
    h('a', { class: 'button top-meetings', href: '/', 'aria-current': current('/') }, t('account.meetings')),
    user.role === 'admin' && wayTo('/admin', 'shield', t('account.administration')),
    wayTo('/recordings', 'film', t('recordings.title')),
    h('a', { class: 'top-person', href: '/account', title: t('account.title'), 'aria-current': current('/account') }, person(user.id, user.display_name, user.avatar), h('span', {}, user.display_name)),
    iconButton('out', t('home.sign-out'), { onclick: () => void signOut(context) }));
}

/** @param {string} path @param {string} symbol @param {string} label */
function wayTo(path, symbol, label) {
  return h('a', { class: 'icon-button', href: path, title: label, 'aria-label': label, 'aria-current': current(path) }, icon(symbol));
}

/** @param {string} path of a link @returns {'page'|'true'|null} whether the view is this page, or below it */
function current(path) {
  if (location.pathname === path) return 'page';
  return path !== '/' && location.pathname.startsWith(`${path}/`) ? 'true' : null;
}

/** @param {import('./main.js').Context} context */
async function signOut(context) {
  await rest.logout();
  forgetUser();
  context.navigate('/');
}
