/** The sheet with which others are asked to come: the link to copy, or to scan with a phone. */
import { copyLink } from './copy-link.js';
import { show } from './dialogs.js';
import { h } from './dom.js';
import { field } from './fields.js';
import { icon } from './icons.js';
import { qrCode } from './qr-code.js';
import { t } from './words.js';

/** @param {any} meeting */
export function showInvite(meeting) {
  const path = `/m/${encodeURIComponent(meeting.id)}`;
  const address = new URL(path, location.href).href;
  const link = field(t('invite.link'), { value: address, readonly: true, onfocus: (/** @type {any} */ event) => event.target.select() });
  return show((dialog) => [
    h('h2', {}, t('invite.title')),
    h('p', { class: 'hint' }, t(meeting.passcode_required ? 'invite.text-passcode' : 'invite.text')),
    h('div', { class: 'form inline' }, link.element,
      h('button', { type: 'button', class: 'button primary', onclick: () => void copyLink(path) }, icon('copy'), t('action.copy'))),
    h('div', { class: 'invite-code' }, qrCode(address, t('invite.qr')), h('p', { class: 'hint' }, t('invite.scan'))),
    h('div', { class: 'row-actions' }, h('button', { type: 'button', class: 'button', onclick: () => dialog.close('') }, t('action.close'))),
  ]);
}
