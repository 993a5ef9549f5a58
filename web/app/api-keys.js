/** The API keys of the account, which programs use to act for it: creates keys with scopes, shows them once, and deletes them. */
import { shownSecret } from './copy-link.js';
import { ask } from './dialogs.js';
import { h } from './dom.js';
import { check, choice, field, form } from './fields.js';
import { dateTime } from './format.js';
import { withProof } from './proof.js';
import { rest } from './session.js';
import { t } from './words.js';

const AREAS = ['meetings', 'admissions', 'recordings', 'media', 'webhooks', 'admin', 'provisioning'];
const ADMINISTRATION = ['admin', 'provisioning'];
const WITHOUT_READING = ['admissions', 'provisioning'];
const DAYS = [30, 90, 365];
const DAY_MS = 86_400_000;

/** @param {{role: string}} user @returns {Promise<HTMLElement>} */
export async function apiKeys(user) {
  const list = h('ul', { class: 'account-list' });
  const fresh = h('div', { role: 'status' });
  const load = async () => {
    const { keys } = await rest.get('/users/api-keys');
    list.replaceChildren(...(keys.length > 0 ? keys.map(row) : [h('li', { class: 'empty' }, t('account.none'))]));
  };
  /** @param {any} key */
  const row = (key) => h('li', {},
    h('span', {}, key.name, ' ', h('code', { class: 'hint' }, key.scopes.join(' ')), h('span', { class: 'hint' }, ` ${lifeOf(key)}`)),
    form({ action: t('action.delete'), label: t('api-keys.delete', { name: key.name }), manner: '', submit: () => remove(key) }));
  /** @param {any} key */
  const remove = async (key) => {
    const answer = await ask(t('api-keys.delete', { name: key.name }), t('api-keys.delete-text'), [{ label: t('action.delete'), value: 'delete', class: 'danger' }]);
    if (answer !== 'delete') return;
    await withProof(() => rest.delete(`/users/api-keys/${encodeURIComponent(key.id)}`));
    await load();
  };

  const name = field(t('account.passkey-name'), { name: 'api-key', maxlength: 200, required: true, autocomplete: 'off', placeholder: t('api-keys.example') });
  const expiry = choice(t('api-keys.expiry'), 'clock', () => undefined);
  expiry.select.append(...DAYS.map((days) => h('option', { value: String(days) }, t('api-keys.days', { days }))), h('option', { value: '' }, t('api-keys.never')));
  expiry.select.value = '90';
  // Only administrators can have keys for administration.
  const areas = AREAS.filter((area) => !ADMINISTRATION.includes(area) || user.role === 'admin')
    .map((area) => ({ area, read: !WITHOUT_READING.includes(area) && check(t('api-keys.read'), '', false), write: check(t('api-keys.write'), '', false) }));
  const scopes = () => areas.flatMap(({ area, read, write }) => [read && read.input.checked && `${area}:read`, write.input.checked && `${area}:write`]).filter(Boolean);

  const create = async () => {
    if (scopes().length === 0) throw new Error(t('api-keys.no-scope'));
    const expires = expiry.select.value ? new Date(Date.now() + Number(expiry.select.value) * DAY_MS).toISOString() : null;
    const wanted = { name: name.input.value.trim(), scopes: scopes(), expires_at: expires };
    const { secret } = await withProof(() => rest.post('/users/api-keys', wanted));
    fresh.replaceChildren(h('p', {}, t('api-keys.once')), shownSecret(t('api-keys.key'), secret));
    name.input.value = '';
    await load();
  };
  await load();
  return h('div', {}, h('p', { class: 'hint' }, t('api-keys.text')), list, fresh,
    h('details', { class: 'more-options' }, h('summary', {}, t('api-keys.new')), form({ action: t('api-keys.create'), submit: create },
      name.element,
      ...areas.map(({ area, read, write }) => h('fieldset', { class: 'scopes' }, h('legend', {}, t(`api-keys.area-${area}`)), read && read.element, write.element)),
      expiry.element)));
}

/** @param {any} key */
function lifeOf(key) {
  const used = key.last_used_at ? t('stream-keys.used', { time: dateTime(key.last_used_at) }) : t('stream-keys.used-never');
  if (!key.expires_at) return used;
  const expired = Date.parse(key.expires_at) < Date.now();
  return `${used}, ${t(expired ? 'api-keys.expired' : 'api-keys.until', { time: dateTime(key.expires_at) })}`;
}
