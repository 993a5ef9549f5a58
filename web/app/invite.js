/** The dialog for inviting others: a link to copy, to scan with a phone, or to send by e-mail. */
import { copyLink } from './copy-link.js';
import { show } from './dialogs.js';
import { h } from './dom.js';
import { field, form } from './fields.js';
import { icon } from './icons.js';
import { qrCode } from './qr-code.js';
import { rest } from './session.js';
import { toast } from './toasts.js';
import { t } from './words.js';

/** @param {any} meeting @param {{hosts?: boolean, phones?: boolean}} [reader] `hosts`: the account may send invitations; `phones`: it may call telephones */
export function showInvite(meeting, { hosts = false, phones = hosts } = {}) {
  const path = `/m/${encodeURIComponent(meeting.id)}`;
  const address = new URL(path, location.href).href;
  const link = field(t('invite.link'), { value: address, readonly: true, onfocus: (/** @type {any} */ event) => event.target.select() });
  return show((dialog) => [
    h('h2', {}, t('invite.title')),
    h('p', { class: 'hint' }, t(meeting.passcode_required ? 'invite.text-passcode' : 'invite.text')),
    h('div', { class: 'form inline' }, link.element,
      h('button', { type: 'button', class: 'button primary', onclick: () => void copyLink(path) }, icon('copy'), t('action.copy'))),
    h('div', { class: 'invite-code' }, qrCode(address, t('invite.qr')), h('p', { class: 'hint' }, t('invite.scan'))),
    phones && byPhone(meeting),
    hosts && byMail(meeting),
    meeting.scheduled_start && h('a', { class: 'link', href: `/api/v1/meetings/${encodeURIComponent(meeting.id)}/calendar.ics`, download: true, target: '_self' }, t('home.calendar')),
    h('div', { class: 'row-actions' }, h('button', { type: 'button', class: 'button', onclick: () => dialog.close('') }, t('action.close'))),
  ]);
}

/** Numbers for callers, and calls to telephones, if the server has them. @param {any} meeting */
function byPhone(meeting) {
  const holder = h('div', { class: 'invite-phone' });
  void import('./phones.js').then(({ fillPhones }) => fillPhones(holder, meeting.id)).catch(() => undefined);
  return holder;
}

/** A form that sends invitations by e-mail, if the server can send it. @param {any} meeting */
function byMail(meeting) {
  const holder = h('div', {});
  void rest.server().then((server) => {
    if (!server.mail) return;
    const people = field(t('invite.mail'), { name: 'emails', type: 'email', multiple: true, required: true, autocomplete: 'off', placeholder: t('invite.mail-example'), hint: t('invite.mail-hint') });
    holder.replaceChildren(form({
      action: t('invite.mail-action'),
      manner: '',
      submit: async () => {
        const emails = people.input.value.split(/[\s,;]+/).filter(Boolean);
        await rest.post(`/meetings/${encodeURIComponent(meeting.id)}/invitations`, { emails });
        people.input.value = '';
        toast(t('invite.mail-sent', { count: emails.length }));
      },
    }, people.element));
  }).catch(() => undefined);
  return holder;
}
