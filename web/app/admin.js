/** `/admin`: what administrators see and do: numbers and health, people, meetings, webhooks, settings, the audit log. */
import { accountTop } from './account-top.js';
import { shownSecret } from './copy-link.js';
import { show } from './dialogs.js';
import { DataTable, pagesOf } from './data-table.js';
import { h } from './dom.js';
import { check, field, form, iconButton, onTyped } from './fields.js';
import { dateTime, duration, sentenceOf, size } from './format.js';
import { icon } from './icons.js';
import { livekitKeys } from './livekit-keys.js';
import { person } from './person.js';
import { currentUser, rest } from './session.js';
import { toast } from './toasts.js';
import { known, t } from './words.js';

const COUNTS = ['users', 'meetings', 'active_meetings', 'participants_present', 'tracks', 'recordings', 'recording_now'];
/** Reasons of control's readiness checks that the page has words for. @type {Record<string, string>} */
const REASONS = {
  'do not answer': 'nodes-silent',
  'does not answer': 'silent',
  'does not answer in time': 'silent',
  'no answer in time': 'silent',
  'was not checked': 'unchecked',
  none: 'none',
};
const LOOK_MS = 10_000;
/** The interval and number of reloads of the deliveries after a test; a delivery takes a few seconds at most. */
const TEST_LOOK_MS = 1_500;
const TEST_LOOKS = 4;

/** @type {Record<string, (signal: AbortSignal) => HTMLElement[]>} */
const SECTIONS = { overview, usage: charts, people, meetings, storage, keys, webhooks, settings, audit };

/** @param {HTMLElement} page @param {import('./main.js').Context} context */
export async function showAdmin(page, context) {
  const user = await currentUser();
  if (context.signal.aborted) return;
  if (!user) return context.navigate(`/?next=${encodeURIComponent(location.pathname)}`);
  if (user.role !== 'admin') throw new Error(t('admin.only'));
  rest.keepSession(context.signal);
  const [chosen = 'overview'] = context.parameters;
  const section = chosen in SECTIONS ? chosen : 'overview';
  page.replaceChildren(
    accountTop(context, user),
    h('main', { class: 'admin' },
      h('nav', { class: 'admin-nav', 'aria-label': t('account.administration') }, ...Object.keys(SECTIONS).map((name) => h('a', {
        href: name === 'overview' ? '/admin' : `/admin/${name}`, 'aria-current': name === section ? 'page' : null,
      }, t(`admin.${name}`)))),
      h('div', { class: 'admin-section' }, h('h1', {}, t(`admin.${section}`)), ...SECTIONS[section](context.signal))),
  );
  page.querySelector('.admin-nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
}

/** The charts, whose code is fetched with them. @param {AbortSignal} signal */
function charts(signal) {
  return fetched(async () => (await import('./usage.js')).usage(signal));
}

/** The settings of the server, likewise. @param {AbortSignal} signal */
function settings(signal) {
  return fetched(async () => (await import('./server-settings.js')).serverSettings(signal));
}

/** A place for what is fetched. @param {() => Promise<HTMLElement[]>} fetch @returns {HTMLElement[]} */
function fetched(fetch) {
  const place = h('div');
  fetch().then((content) => place.replaceWith(...content), (error) => toast(sentenceOf(error), 'problem'));
  return [place];
}

/** @param {AbortSignal} signal */
function overview(signal) {
  const counts = h('dl', { class: 'counts' });
  const health = h('div', { class: 'card health', role: 'status' });
  const refresh = async () => {
    try {
      const [numbers, ready] = await Promise.all([rest.get('/admin/meetings/stats'), fetch('/health/ready', { cache: 'no-store' }).then((answer) => answer.json())]);
      counts.replaceChildren(...COUNTS.map((name) => h('div', { class: 'card' }, h('dt', {}, t(`admin.count-${name}`)), h('dd', {}, numbers[name].toLocaleString()))));
      const down = Object.entries(ready.down ?? {});
      health.replaceChildren(h('p', { class: `health-${ready.status}` }, icon(ready.status === 'ok' ? 'check' : 'warning'), t(`admin.health-${ready.status}`)),
        down.length > 0 ? h('ul', {}, ...down.map(([name, reason]) => h('li', {}, h('strong', {}, known(`admin.part-${name}`) ? t(`admin.part-${name}`) : name), ' ', ...sayReason(String(reason))))) : '');
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    }
  };
  const timer = setInterval(() => void refresh(), LOOK_MS);
  signal.addEventListener('abort', () => clearInterval(timer));
  void refresh();
  const nodes = new DataTable({
    label: t('admin.nodes'),
    empty: t('admin.none'),
    columns: [
      { label: t('admin.node'), kind: 'main', of: ({ node }) => node },
      { label: t('admin.region'), of: ({ region }) => region },
      { label: t('admin.state'), of: (node) => nodeState(node) },
      { label: t('admin.cpu'), kind: 'number', of: ({ cpu }) => cpu.toLocaleString(undefined, { style: 'percent' }) },
      { label: t('admin.rooms'), kind: 'number', of: ({ rooms }) => String(rooms) },
      { label: t('admin.participants'), kind: 'number', of: ({ participants }) => String(participants) },
    ],
    load: async () => ({ rows: (await rest.get('/admin/nodes')).nodes, next: null }),
  });
  void nodes.refresh();
  return [health, counts, h('h2', {}, t('admin.nodes')), nodes.element];
}

/** @param {{alive: boolean, draining: boolean, overloaded: boolean}} node @returns {HTMLElement} */
function nodeState({ alive, draining, overloaded }) {
  const state = !alive ? 'silent' : overloaded ? 'overloaded' : draining ? 'draining' : 'ready';
  return h('span', { class: `status ${!alive ? 'status-recording' : state === 'ready' ? 'status-active' : 'status-partial'}` }, t(`admin.node-${state}`));
}

/** The server's reason; in other languages than English only the frequent ones have a text. @param {string} reason @returns {(Node|string)[]} */
function sayReason(reason) {
  const [, what, names] = /^(do not answer): (.+)$/.exec(reason) ?? [null, reason, ''];
  const key = REASONS[what];
  return key ? [t(`admin.reason-${key}`, { names })] : [h('span', { lang: 'en' }, reason)];
}

/** @param {AbortSignal} signal */
function people(signal) {
  let search = '';
  const table = new DataTable({
    label: t('admin.people'),
    empty: t('admin.none'),
    columns: [
      { label: t('admin.name'), kind: 'main', of: (user) => h('span', { class: 'admin-person' }, person(user.id, user.display_name), h('span', {}, h('strong', {}, user.display_name), h('span', { class: 'hint' }, user.username))) },
      { label: t('sign-in.email'), of: (user) => user.email ?? '' },
      { label: t('admin.role'), of: (user) => t(`admin.role-${user.role}`) },
      { label: t('admin.state'), of: (user) => h('span', { class: `status ${user.state === 'active' ? 'status-active' : 'status-recording'}` }, t(`admin.state-${user.state}`)) },
      { label: t('admin.since'), of: (user) => dateTime(user.created_at) },
      { label: t('admin.actions'), kind: 'actions', of: (user) => actionsOf(user) },
    ],
    load: async (cursor) => {
      const query = new URLSearchParams({ search, ...(cursor ? { cursor } : {}) });
      const { users, next } = await rest.get(`/admin/users?${query}`);
      return { rows: users, next };
    },
  });
  /** @param {any} user */
  function actionsOf(user) {
    const at = `/admin/users/${encodeURIComponent(user.id)}`;
    const name = user.display_name;
    const role = user.role === 'admin' ? 'user' : 'admin';
    return [
      iconButton('clock', t('admin.sessions-of', { name }), { 'aria-haspopup': 'dialog', onclick: async () => void (await import('./oversight.js')).showSessions(user) }),
      iconButton('shield', t(`admin.make-${role}`, { name }), { onclick: () => void table.sure(t(`admin.make-${role}`, { name }), t('admin.make-text'), t('proof.action'), () => rest.put(at, { role })) }),
      user.state === 'active'
        ? iconButton('ban', t('admin.ban', { name }), { onclick: () => void table.sure(t('admin.ban', { name }), t('admin.ban-text'), t('admin.ban-action'), () => rest.post(`${at}/ban`)) })
        : iconButton('check', t('admin.unban', { name }), { onclick: () => void table.act(() => rest.post(`${at}/unban`)) }),
      iconButton('trash', t('admin.delete', { name }), { onclick: () => void table.sure(t('admin.delete', { name }), t('admin.delete-text'), t('action.delete'), () => rest.delete(at)) }),
    ];
  }
  const invitations = h('div', {});
  void import('./oversight.js').then(({ openInvitations }) => {
    const list = openInvitations();
    invitations.append(...list.elements);
    invited = list.refresh;
  });
  let invited = () => {};
  const find = h('input', {
    class: 'input', type: 'search', 'aria-label': t('admin.search'), placeholder: t('admin.search'), maxlength: 200, autocomplete: 'off',
  });
  onTyped(find, signal, () => {
    search = find.value.trim();
    void table.refresh();
  });
  void table.refresh();
  return [h('div', { class: 'admin-tools' }, find, h('button', { type: 'button', class: 'button', onclick: () => void invite().finally(() => invited()) }, icon('invite'), t('admin.invite'))), table.element, invitations];
}

function invite() {
  const email = field(t('sign-in.email'), { type: 'email', autocomplete: 'off', hint: t('admin.invite-hint') });
  const made = h('div', {});
  return show((dialog) => [
    h('h2', {}, t('admin.invite')),
    form({
      action: t('admin.invite-action'),
      submit: async () => {
        const { invitation } = await rest.post('/admin/invitations', email.input.value ? { email: email.input.value } : {});
        const link = new URL(`/?invitation=${encodeURIComponent(invitation)}`, location.href).href;
        made.replaceChildren(shownSecret(t('invite.link'), link, t('admin.invite-once')));
      },
    }, email.element),
    made,
    h('div', { class: 'row-actions' }, h('button', { type: 'button', class: 'button', onclick: () => dialog.close('') }, t('action.close'))),
  ]);
}

/** @param {AbortSignal} signal */
function meetings(signal) {
  /** @param {{id: string, title: string}} meeting @param {DataTable} table */
  const end = ({ id, title }, table) => iconButton('stop', t('admin.end', { title }), {
    onclick: () => void table.sure(t('admin.end', { title }), t('admin.end-text'), t('call.leave-end'), () => rest.post(`/admin/meetings/${encodeURIComponent(id)}/force-end`)),
  });
  /** @param {string} id @param {string} title */
  const link = (id, title) => h('a', { href: `/m/${encodeURIComponent(id)}` }, title);
  const live = new DataTable({
    label: t('admin.live'),
    empty: t('admin.live-none'),
    columns: [
      { label: t('home.title'), kind: 'main', of: (room) => link(room.meeting, room.title) },
      { label: t('admin.since'), of: (room) => dateTime(room.opened_at) },
      { label: t('admin.node'), of: (room) => room.node },
      { label: t('admin.participants'), kind: 'number', of: (room) => String(room.participants) },
      { label: t('admin.tracks'), kind: 'number', of: (room) => String(room.tracks) },
      { label: t('admin.media'), kind: 'number', of: (room) => t('admin.media-rates', { in: room.kbps_in / 1000, out: room.kbps_out / 1000 }) },
      { label: t('admin.recorded'), of: (room) => (room.recording ? t('admin.yes') : '') },
      { label: t('admin.actions'), kind: 'actions', of: (room) => end({ id: room.meeting, title: room.title }, live) },
    ],
    load: async () => ({ rows: (await rest.get('/stats/rooms')).rooms, next: null }),
  });
  const all = new DataTable({
    label: t('admin.all-meetings'),
    empty: t('admin.none'),
    columns: [
      { label: t('home.title'), kind: 'main', of: (meeting) => link(meeting.id, meeting.title) },
      { label: t('admin.state'), of: (meeting) => h('span', { class: `status status-${meeting.status}` }, t(`meeting.status-${meeting.status}`)) },
      { label: t('admin.since'), of: (meeting) => dateTime(meeting.created_at) },
      { label: t('admin.participants'), kind: 'number', of: (meeting) => String(meeting.participants) },
      { label: t('admin.actions'), kind: 'actions', of: (meeting) => (meeting.status === 'ended' ? '' : end(meeting, all)) },
    ],
    load: pagesOf('/admin/meetings', 'meetings'),
  });
  const timer = setInterval(() => void live.refresh(), LOOK_MS);
  signal.addEventListener('abort', () => clearInterval(timer));
  void live.refresh();
  void all.refresh();
  return [h('h2', {}, t('admin.live')), live.element, h('h2', {}, t('admin.all-meetings')), all.element];
}

function storage() {
  const owners = new DataTable({
    label: t('admin.owners'),
    empty: t('admin.none'),
    columns: [
      { label: t('admin.name'), kind: 'main', of: (owner) => h('span', { class: 'admin-person' }, person(owner.user_id, owner.display_name), h('span', {}, h('strong', {}, owner.display_name), h('span', { class: 'hint' }, owner.username))) },
      { label: t('recordings.title'), kind: 'number', of: (owner) => t('admin.stored', { count: owner.recordings, size: size(owner.recording_bytes) }) },
      { label: t('admin.files'), kind: 'number', of: (owner) => t('admin.stored', { count: owner.files, size: size(owner.file_bytes) }) },
    ],
    load: async () => ({ rows: (await rest.get('/admin/storage')).owners, next: null }),
  });
  const recordings = new DataTable({
    label: t('recordings.title'),
    empty: t('admin.none'),
    columns: [
      { label: t('home.title'), kind: 'main', of: (one) => h('a', { href: `/recordings/${encodeURIComponent(one.id)}` }, one.title) },
      { label: t('admin.owner'), of: (one) => one.owner },
      { label: t('admin.at'), of: (one) => dateTime(one.started_at) },
      { label: t('admin.length'), kind: 'number', of: (one) => (one.duration_ms === null ? '' : duration(one.duration_ms)) },
      { label: t('admin.size'), kind: 'number', of: (one) => size(one.bytes) },
      { label: t('admin.actions'), kind: 'actions', of: (one) => (['recording', 'sealing'].includes(one.state) || one.held ? '' : iconButton('trash', t('admin.delete', { name: one.title }), {
        onclick: () => void recordings.sure(t('admin.delete', { name: one.title }), t('admin.recording-delete-text'), t('action.delete'), async () => {
          await rest.delete(`/recordings/${encodeURIComponent(one.id)}`);
          await owners.refresh();
        }),
      })) },
    ],
    load: pagesOf('/admin/recordings', 'recordings'),
  });
  void owners.refresh();
  void recordings.refresh();
  return [h('h2', {}, t('admin.owners')), owners.element, h('h2', {}, t('recordings.title')), recordings.element];
}

function keys() {
  const table = new DataTable({
    label: t('admin.keys'),
    empty: t('admin.none'),
    columns: [
      { label: t('admin.name'), kind: 'main', of: (key) => key.name },
      { label: t('admin.owner'), of: (key) => key.username },
      { label: t('admin.scopes'), of: (key) => h('code', {}, key.scopes.join(' ')) },
      { label: t('admin.since'), of: (key) => dateTime(key.created_at) },
      { label: t('admin.expires'), of: (key) => (key.expires_at ? dateTime(key.expires_at) : t('api-keys.never')) },
      { label: t('admin.used'), of: (key) => (key.last_used_at ? dateTime(key.last_used_at) : t('stream-keys.used-never')) },
      { label: t('admin.actions'), kind: 'actions', of: (key) => iconButton('trash', t('admin.delete', { name: key.name }), {
        onclick: () => void table.sure(t('admin.delete', { name: key.name }), t('api-keys.delete-text'), t('action.delete'), () => rest.delete(`/admin/api-keys/${encodeURIComponent(key.id)}`)),
      }) },
    ],
    load: pagesOf('/admin/api-keys', 'keys'),
  });
  void table.refresh();
  const streams = h('div', {});
  void import('./oversight.js').then(({ streamKeys }) => streams.append(...streamKeys()));
  return [table.element, streams, ...livekitKeys()];
}

function webhooks() {
  const deliveries = h('div', { class: 'deliveries' });
  const table = new DataTable({
    label: t('admin.webhooks'),
    empty: t('admin.none'),
    columns: [
      { label: t('stream-keys.url'), kind: 'main', of: (hook) => hook.url },
      { label: t('admin.events'), of: (hook) => hook.kinds.join(', ') },
      { label: t('admin.of-all'), of: (hook) => (hook.all_meetings ? t('admin.yes') : '') },
      { label: t('admin.since'), of: (hook) => dateTime(hook.created_at) },
      { label: t('admin.actions'), kind: 'actions', of: (hook) => [
        !hook.livekit_key && iconButton('send', t('admin.webhook-test', { url: hook.url }), { onclick: () => void testWebhook(hook, deliveries) }),
        iconButton('clock', t('admin.deliveries-of', { url: hook.url }), { onclick: () => void showDeliveries(hook, deliveries) }),
        iconButton('trash', t('admin.delete', { name: hook.url }), { onclick: () => void table.sure(t('admin.delete', { name: hook.url }), '', t('action.delete'), () => rest.delete(`/webhooks/${encodeURIComponent(hook.id)}`)) }),
      ] },
    ],
    load: async () => ({ rows: (await rest.get('/webhooks')).webhooks, next: null }),
  });
  const url = field(t('stream-keys.url'), { type: 'url', required: true, maxlength: 2000, autocomplete: 'off' });
  const kinds = field(t('admin.events'), { value: '*', required: true, autocomplete: 'off', hint: t('admin.events-hint') });
  const everything = check(t('admin.of-all'), t('admin.of-all-hint'), true);
  const made = h('div', {});
  void table.refresh();
  return [table.element, deliveries, h('details', { class: 'more-options card' }, h('summary', {}, t('admin.webhook-new')), form({
    action: t('admin.webhook-create'),
    submit: async () => {
      const wanted = kinds.input.value.split(/[\s,]+/).filter(Boolean);
      const { secret } = await rest.post('/webhooks', { url: url.input.value, kinds: wanted, all_meetings: everything.input.checked });
      made.replaceChildren(shownSecret(t('admin.secret'), secret, t('admin.secret-once')));
      await table.refresh();
    },
  }, url.element, kinds.element, everything.element), made)];
}

/** Send a test, and show the deliveries until it has an outcome. @param {any} hook @param {HTMLElement} place */
async function testWebhook(hook, place) {
  try {
    await rest.post(`/webhooks/${encodeURIComponent(hook.id)}/test`);
  } catch (error) {
    toast(sentenceOf(error), 'problem');
    return;
  }
  toast(t('admin.webhook-tested'));
  const table = await showDeliveries(hook, place);
  for (let look = 0; look < TEST_LOOKS && table.element.isConnected; look += 1) {
    await new Promise((resolve) => setTimeout(resolve, TEST_LOOK_MS));
    await table.refresh();
  }
}

/** @param {any} hook @param {HTMLElement} place */
async function showDeliveries(hook, place) {
  const at = `/webhooks/${encodeURIComponent(hook.id)}/deliveries`;
  const table = new DataTable({
    label: t('admin.deliveries-of', { url: hook.url }),
    empty: t('admin.deliveries-none'),
    columns: [
      { label: t('admin.event'), kind: 'main', of: (one) => one.kind },
      { label: t('admin.state'), of: (one) => h('span', { class: `status ${{ delivered: 'status-active', waiting: 'status-partial', failed: 'status-recording' }[String(one.state)]}` }, t(`admin.delivery-${one.state}`)) },
      { label: t('admin.attempts'), kind: 'number', of: (one) => String(one.attempts) },
      { label: t('admin.answer'), of: (one) => [one.last_status, one.last_error].filter(Boolean).join(' · ') },
      { label: t('admin.at'), of: (one) => dateTime(one.delivered_at ?? one.created_at) },
      { label: t('admin.actions'), kind: 'actions', of: (one) => iconButton('send', t('admin.replay', { kind: one.kind }), { onclick: () => void table.act(() => rest.post(`${at}/${one.id}/replay`)) }) },
    ],
    load: async () => ({ rows: (await rest.get(at)).deliveries, next: null }),
  });
  const title = h('h2', { tabindex: -1 }, t('admin.deliveries-of', { url: hook.url }));
  place.replaceChildren(title, table.element);
  title.focus();
  await table.refresh();
  return table;
}

function audit() {
  const table = new DataTable({
    label: t('admin.audit'),
    empty: t('admin.none'),
    columns: [
      { label: t('admin.at'), of: (entry) => dateTime(entry.at) },
      { label: t('admin.action'), kind: 'main', of: (entry) => h('code', {}, entry.action) },
      { label: t('admin.actor'), of: (entry) => entry.actor ?? '' },
      { label: t('admin.target'), of: (entry) => entry.target ?? '' },
      { label: t('admin.address'), of: (entry) => entry.address },
      { label: t('admin.detail'), of: (entry) => (Object.keys(entry.detail).length > 0 ? h('code', {}, JSON.stringify(entry.detail)) : '') },
    ],
    load: pagesOf('/admin/audit', 'entries'),
  });
  void table.refresh();
  return [table.element];
}
