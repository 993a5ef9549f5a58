/** Parts of the administration: open invitations, the sessions of an account, the stream keys of all meetings. */
import { DataTable, pagesOf } from './data-table.js';
import { show } from './dialogs.js';
import { iconButton } from './fields.js';
import { h } from './dom.js';
import { dateTime } from './format.js';
import { rest } from './session.js';
import { t } from './words.js';

/** @returns {{elements: HTMLElement[], refresh: () => void}} */
export function openInvitations() {
  const table = new DataTable({
    label: t('admin.invitations'),
    empty: t('admin.invitations-none'),
    columns: [
      { label: t('admin.invitation-for'), kind: 'main', of: (one) => one.email ?? t('admin.invitation-any') },
      { label: t('admin.actor'), of: (one) => one.created_by ?? '' },
      { label: t('admin.since'), of: (one) => dateTime(one.created_at) },
      { label: t('admin.expires'), of: (one) => dateTime(one.expires_at) },
      { label: t('admin.actions'), kind: 'actions', of: (one) => iconButton('trash', t('admin.invitation-withdraw'), {
        onclick: () => void table.sure(t('admin.invitation-withdraw'), '', t('action.delete'), () => rest.delete(`/admin/invitations/${one.id}`)),
      }) },
    ],
    load: pagesOf('/admin/invitations', 'invitations'),
  });
  void table.refresh();
  return { elements: [h('h2', {}, t('admin.invitations')), table.element], refresh: () => void table.refresh() };
}

/** @param {{id: string, display_name: string}} user */
export function showSessions({ id, display_name: name }) {
  const at = `/admin/users/${encodeURIComponent(id)}/sessions`;
  const table = new DataTable({
    label: t('admin.sessions-of', { name }),
    empty: t('admin.none'),
    columns: [
      { label: t('account.program'), kind: 'main', of: (one) => one.user_agent },
      { label: t('admin.address'), of: (one) => one.address },
      { label: t('admin.used'), of: (one) => dateTime(one.last_used_at) },
      { label: t('admin.actions'), kind: 'actions', of: (one) => (one.current ? t('account.session-this') : iconButton('out', t('account.sign-out'), {
        onclick: () => void table.act(() => rest.delete(`${at}/${encodeURIComponent(one.id)}`)),
      })) },
    ],
    load: pagesOf(at, 'sessions'),
  });
  void table.refresh();
  return show((dialog) => [
    h('h2', {}, t('admin.sessions-of', { name })),
    table.element,
    h('div', { class: 'row-actions' }, h('button', { type: 'button', class: 'button', onclick: () => dialog.close('') }, t('action.close'))),
  ], 'dialog dialog-form');
}

/** @returns {HTMLElement[]} */
export function streamKeys() {
  const table = new DataTable({
    label: t('admin.stream-keys'),
    empty: t('admin.none'),
    columns: [
      { label: t('admin.name'), kind: 'main', of: (key) => key.name },
      { label: t('home.title'), of: (key) => h('a', { href: `/m/${encodeURIComponent(key.meeting)}` }, key.title) },
      { label: t('admin.owner'), of: (key) => key.owner },
      { label: t('stream-keys.role'), of: (key) => t(`stream-keys.role-${key.role === 'watch' ? 'watch' : 'publish'}`) },
      { label: t('admin.used'), of: (key) => (key.last_used_at ? dateTime(key.last_used_at) : t('stream-keys.used-never')) },
      { label: t('admin.actions'), kind: 'actions', of: (key) => iconButton('trash', t('admin.delete', { name: key.name }), {
        onclick: () => void table.sure(t('admin.delete', { name: key.name }), '', t('action.delete'), () => rest.delete(`/meetings/${encodeURIComponent(key.meeting)}/stream-keys/${encodeURIComponent(key.id)}`)),
      }) },
    ],
    load: pagesOf('/admin/stream-keys', 'keys'),
  });
  void table.refresh();
  return [h('h2', {}, t('admin.stream-keys')), table.element];
}
