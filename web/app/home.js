/** `/`: sign in or register; when signed in, the meetings of the account. */
import { brand } from './brand.js';
import { copyLink } from './copy-link.js';
import { h } from './dom.js';
import { check, choice, field, form, iconButton } from './fields.js';
import { codeOf, dateTime, meetingIdOf } from './format.js';
import { icon } from './icons.js';
import { currentUser, forgetUser, rest } from './session.js';
import { signInCard } from './sign-in.js';

/** What a meeting makes of consent to being recorded. */
const CONSENTS = [
  ['ask', 'Ask each participant'],
  ['implied', 'Joining implies consent'],
  ['required', 'Consent required to join'],
];

/** What browsers send video in; VP8 is decoded everywhere, the others need fewer bits and more work. */
const CODECS = [['VP8', 'VP8'], ['VP9', 'VP9'], ['AV1', 'AV1'], ['H264', 'H.264']];

/** @param {HTMLElement} page @param {import('./main.js').Context} context */
export async function showHome(page, context) {
  const user = await currentUser();
  if (context.signal.aborted) return;
  if (user) await showMeetings(page, context, user);
  else await showWelcome(page, context);
}

/** @param {HTMLElement} page @param {import('./main.js').Context} context */
async function showWelcome(page, context) {
  const server = await rest.server().catch(() => ({ registration: 'closed', setup_needed: false }));
  if (context.signal.aborted) return;
  const next = context.query.get('next') ?? '/';
  /** @param {any} answer */
  const entered = (answer) => {
    forgetUser();
    context.navigate(answer.second_factor_setup ? '/account?second-factor' : next);
  };
  const card = signInCard(server, entered, next);
  page.replaceChildren(
    h('main', { class: 'welcome' },
      h('section', { class: 'welcome-text' },
        brand(),
        h('h1', {}, 'Meetings on your own server'),
        h('p', { class: 'lead' }, 'Video calls, screen sharing, recordings and captions on a machine that you trust.'),
        joinByLink(context)),
      h('section', { class: 'welcome-account' },
        server.setup_needed && h('p', { class: 'card notice' },
          'This server has no administrator yet. Open the one-time link that it printed when it first started.'),
        card)),
  );
}

/** @param {import('./main.js').Context} context */
function joinByLink(context) {
  const link = field('Have a link?', { placeholder: 'Meeting link or ID', name: 'link', autocomplete: 'off', required: true });
  return form({
    action: 'Join',
    class: 'inline',
    submit: async () => {
      const id = meetingIdOf(link.input.value);
      if (!id) throw new Error('That is not a meeting link.');
      context.navigate(`/m/${encodeURIComponent(id)}`);
    },
  }, link.element);
}

/** @param {HTMLElement} page @param {import('./main.js').Context} context @param {any} user */
async function showMeetings(page, context, user) {
  const list = h('ul', { class: 'meeting-list' });
  const load = async () => {
    const { meetings } = await rest.meetings();
    list.replaceChildren(...(meetings.length > 0 ? meetings.map(meetingRow) : [h('li', { class: 'empty' }, 'No meetings yet. Create one and share its link.')]));
  };
  page.replaceChildren(
    h('header', { class: 'top' }, brand(),
      h('div', { class: 'top-account' }, h('a', { class: 'link', href: '/account' }, user.display_name),
        iconButton('out', 'Sign out', { onclick: () => void signOut(context) }))),
    h('main', { class: 'home' },
      h('section', { class: 'home-side' },
        h('div', { class: 'card' }, h('h2', {}, 'New meeting'), newMeeting(context)),
        h('div', { class: 'card' }, joinByLink(context))),
      h('section', { class: 'home-list' }, h('h1', {}, 'Your meetings'), list)),
  );
  try {
    await load();
  } catch (error) {
    if (codeOf(error) !== 'second_factor_setup') throw error;
    context.navigate('/account?second-factor');
  }
}

/** @param {import('./main.js').Context} context */
function newMeeting(context) {
  const title = field('Title', { name: 'title', placeholder: 'Weekly sync', maxlength: 200, autocomplete: 'off' });
  const passcode = field('Passcode', { name: 'passcode', minlength: 6, maxlength: 64, autocomplete: 'off', placeholder: 'None', hint: 'Guests must enter it. At least 6 characters.' });
  const start = field('Starts', { name: 'start', type: 'datetime-local', hint: 'Leave empty to start now.' });
  const guests = check('Guests may join', 'Anyone with the link can join without an account.', true);
  const consent = choice('Recording', 'record', () => undefined);
  consent.select.name = 'consent';
  consent.select.append(...CONSENTS.map(([value, words]) => h('option', { value }, words)));
  const lobby = check('Lobby', 'Participants wait until you let them in.', false);
  const muted = check('Mute on entry', 'Participants join with their microphone muted. They can unmute it.', false);
  const sealed = check('End-to-end encryption', 'Participants enter a passphrase that you share another way. No recording, captions or analysis.', false);
  const codec = choice('Video', 'camera', () => undefined);
  codec.select.name = 'codec';
  codec.select.append(...CODECS.map(([value, words]) => h('option', { value }, words)));
  return form({
    action: 'Create meeting',
    submit: async () => {
      const meeting = await rest.createMeeting({
        title: title.input.value.trim() || 'Meeting',
        ...(passcode.input.value ? { passcode: passcode.input.value } : {}),
        ...planned(start.input.value),
        settings: { guests: guests.input.checked, lobby: lobby.input.checked, mute_on_entry: muted.input.checked, e2ee: sealed.input.checked, consent: consent.select.value,
          codec: codec.select.value },
      });
      context.navigate(`/m/${encodeURIComponent(meeting.id)}`);
    },
  }, title.element, start.element, passcode.element, guests.element, lobby.element, muted.element, sealed.element, consent.element, codec.element);
}

/** @param {string} local date and time as a datetime-local field has them, '' for none */
function planned(local) {
  if (local === '') return {};
  return { scheduled_start: new Date(local).toISOString(), time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone };
}

/** @param {any} meeting */
function meetingRow(meeting) {
  const path = `/m/${encodeURIComponent(meeting.id)}`;
  const live = meeting.status === 'active';
  return h('li', { class: 'card meeting-row' },
    h('div', { class: 'meeting-row-text' },
      h('h3', {}, meeting.title),
      h('p', { class: 'hint' },
        h('span', { class: `status status-${meeting.status}` }, live ? 'Now' : meeting.status),
        ` ${dateTime(meeting.scheduled_start ?? meeting.created_at)}`,
        meeting.passcode_required && ' · passcode')),
    h('div', { class: 'row-actions' },
      meeting.scheduled_start && h('a', {
        class: 'icon-button', href: `/api/v1/meetings/${encodeURIComponent(meeting.id)}/calendar.ics`, download: true, target: '_self',
        title: 'Add to calendar', 'aria-label': `Add ${meeting.title} to a calendar`,
      }, icon('calendar')),
      iconButton('link', 'Copy link', { onclick: () => void copyLink(path) }),
      h('a', { class: 'icon-button', href: `${path}/recordings`, title: 'Recordings', 'aria-label': `Recordings of ${meeting.title}` }, icon('film')),
      meeting.status !== 'ended' && h('a', { class: 'button primary', href: path }, 'Open')));
}

/** @param {import('./main.js').Context} context */
async function signOut(context) {
  await rest.logout();
  forgetUser();
  context.navigate('/');
}
