/** API keys of LiveKit's SDKs, for administrators: creates keys, shows their secret once, and revokes them. */
import { shownSecret } from './copy-link.js';
import { DataTable } from './data-table.js';
import { h } from './dom.js';
import { field, form, iconButton } from './fields.js';
import { dateTime } from './format.js';
import { withProof } from './proof.js';
import { rest } from './session.js';
import { t } from './words.js';

/** @returns {HTMLElement[]} */
export function livekitKeys() {
  const made = h('div', { role: 'status' });
  const table = new DataTable({
    label: t('livekit-keys.title'),
    empty: t('admin.none'),
    columns: [
      { label: t('admin.name'), kind: 'main', of: (key) => key.name },
      { label: t('livekit-keys.key'), of: (key) => h('code', {}, key.id) },
      { label: t('admin.since'), of: (key) => (key.configured ? t('livekit-keys.configured') : dateTime(key.created_at)) },
      { label: t('admin.used'), of: (key) => (key.configured ? '' : key.last_used_at ? dateTime(key.last_used_at) : t('stream-keys.used-never')) },
      { label: t('admin.actions'), kind: 'actions', of: (key) => (key.configured ? '' : iconButton('trash', t('admin.delete', { name: key.name }), { onclick: () => void revoke(key) })) },
    ],
    load: async (cursor) => {
      const { keys, next } = await rest.get(`/admin/livekit-keys${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ''}`);
      return { rows: keys, next };
    },
  });
  /** @param {any} key */
  const revoke = (key) => table.sure(t('admin.delete', { name: key.name }), t('livekit-keys.delete-text'), t('action.delete'), () => rest.delete(`/admin/livekit-keys/${encodeURIComponent(key.id)}`));
  const name = field(t('admin.name'), { required: true, maxlength: 200, autocomplete: 'off' });
  const create = async () => {
    const { id, secret } = await withProof(() => rest.post('/admin/livekit-keys', { name: name.input.value.trim() }));
    made.replaceChildren(shownSecret(t('livekit-keys.key'), id), shownSecret(t('admin.secret'), secret, t('livekit-keys.once')));
    name.input.value = '';
    await table.refresh();
  };
  void table.refresh();
  return [h('h2', {}, t('livekit-keys.title')), h('p', { class: 'hint' }, t('livekit-keys.text')), table.element,
    h('details', { class: 'more-options card' }, h('summary', {}, t('livekit-keys.new')), form({ action: t('api-keys.create'), submit: create }, name.element), made)];
}
