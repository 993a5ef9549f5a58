/** `/`: sign in or register; when signed in, the meetings of the account. */
import { copyLink } from './copy-link.js';
import { h } from './dom.js';
import { check, choice, field, form, iconButton } from './fields.js';
import { codeOf, dateTime, meetingIdOf, sentenceOf } from './format.js';
import { icon } from './icons.js';
import { currentUser, forgetUser, rest } from './session.js';
import { signInCard } from './sign-in.js';
import { toast } from './toasts.js';
import { t } from './words.js';
import { top } from './shell.js';

/** What a meeting makes of consent to being recorded. */
const CONSENTS = ['ask', 'implied', 'required'];

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
    top(context),
    h('main', { class: 'welcome' },
      h('section', { class: 'welcome-text' },
        h('h1', {}, t('home.welcome')),
        h('p', { class: 'lead' }, t('home.tagline')),
        joinByLink(context)),
      h('section', { class: 'welcome-account' },
        server.setup_needed && h('p', { class: 'card notice' },
          t('home.no-admin')),
        card)),
  );
}

/** @param {import('./main.js').Context} context */
function joinByLink(context) {
  const link = field(t('home.link'), { placeholder: t('home.link-example'), name: 'link', autocomplete: 'off', required: true });
  return form({
    action: t('home.join'),
    class: 'inline',
    submit: async () => {
      const id = meetingIdOf(link.input.value);
      if (!id) throw new Error(t('home.bad-link'));
      context.navigate(`/m/${encodeURIComponent(id)}`);
    },
  }, link.element);
}

/** @param {HTMLElement} page @param {import('./main.js').Context} context @param {any} user */
async function showMeetings(page, context, user) {
  const list = h('ul', { class: 'meeting-list' });
  const older = h('button', { type: 'button', class: 'button', hidden: true }, t('home.older'));
  let cursor = '';
  older.addEventListener('click', async () => {
    older.disabled = true;
    try {
      const { meetings, next } = await rest.meetings(cursor);
      list.append(...meetings.map(meetingRow));
      offer(next);
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    }
    older.disabled = false;
  });
  /** @param {string|null} next */
  const offer = (next) => {
    cursor = next ?? '';
    older.hidden = !next;
  };
  const load = async () => {
    const { meetings, next } = await rest.meetings();
    offer(next);
    list.replaceChildren(...(meetings.length > 0 ? meetings.map(meetingRow) : [h('li', { class: 'empty' }, t('home.empty'))]));
  };
  page.replaceChildren(
    top(context, h('a', { class: 'link', href: '/account' }, user.display_name),
      iconButton('out', t('home.sign-out'), { onclick: () => void signOut(context) })),
    h('main', { class: 'home' },
      h('section', { class: 'home-list' }, h('h1', {}, t('home.your-meetings')), list, older),
      h('section', { class: 'home-side' },
        h('div', { class: 'card' }, h('h2', {}, t('home.new')), newMeeting(context)),
        h('div', { class: 'card' }, joinByLink(context)))),
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
  const title = field(t('home.title'), { name: 'title', placeholder: t('home.title-example'), maxlength: 200, autocomplete: 'off' });
  const passcode = field(t('home.passcode'), { name: 'passcode', minlength: 6, maxlength: 64, autocomplete: 'off', placeholder: t('home.passcode-none'), hint: t('home.passcode-hint') });
  const start = field(t('home.start'), { name: 'start', type: 'datetime-local', hint: t('home.start-hint') });
  const guests = check(t('home.guests'), t('home.guests-text'), true);
  const consent = choice(t('home.consent'), 'record', () => undefined);
  consent.select.name = 'consent';
  consent.select.append(...CONSENTS.map((value) => h('option', { value }, t(`home.consent-${value}`))));
  const lobby = check(t('home.lobby'), t('home.lobby-text'), false);
  const muted = check(t('home.mute-on-entry'), t('home.mute-on-entry-text'), false);
  const sealed = check(t('home.e2ee'), t('home.e2ee-text'), false);
  const codec = choice(t('home.codec'), 'camera', () => undefined);
  codec.select.name = 'codec';
  codec.select.append(...CODECS.map(([value, words]) => h('option', { value }, words)));
  const more = h('details', { class: 'more-options' },
    h('summary', {}, t('home.options')),
    h('div', { class: 'form' }, passcode.element, muted.element, sealed.element, consent.element, codec.element));
  // What is wrong in it is shown; browsers cannot point at what is folded away.
  more.addEventListener('invalid', () => (more.open = true), true);
  return form({
    action: t('home.create'),
    submit: async () => {
      const meeting = await rest.createMeeting({
        title: title.input.value.trim() || t('home.title-default'),
        ...(passcode.input.value ? { passcode: passcode.input.value } : {}),
        ...planned(start.input.value),
        settings: { guests: guests.input.checked, lobby: lobby.input.checked, mute_on_entry: muted.input.checked, e2ee: sealed.input.checked, consent: consent.select.value,
          codec: codec.select.value },
      });
      context.navigate(`/m/${encodeURIComponent(meeting.id)}`);
    },
  }, title.element, start.element, guests.element, lobby.element, more);
}

/** @param {string} local date and time as a datetime-local field has them, '' for none */
function planned(local) {
  if (local === '') return {};
  return { scheduled_start: new Date(local).toISOString(), time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone };
}

/** @param {any} meeting */
function meetingRow(meeting) {
  const path = `/m/${encodeURIComponent(meeting.id)}`;
  return h('li', { class: 'card meeting-row' },
    h('div', { class: 'meeting-row-text' },
      h('h2', {}, meeting.title),
      h('p', { class: 'hint' },
        h('span', { class: `status status-${meeting.status}` }, t(`meeting.status-${meeting.status}`)),
        ` ${dateTime(meeting.scheduled_start ?? meeting.created_at)}`,
        meeting.passcode_required && ` · ${t('home.passcode-set')}`)),
    h('div', { class: 'row-actions' },
      meeting.scheduled_start && h('a', {
        class: 'icon-button', href: `/api/v1/meetings/${encodeURIComponent(meeting.id)}/calendar.ics`, download: true, target: '_self',
        title: t('home.calendar'), 'aria-label': t('home.calendar-of', { title: meeting.title }),
      }, icon('calendar')),
      iconButton('link', t('home.copy'), { 'aria-label': t('home.copy-of', { title: meeting.title }), onclick: () => void copyLink(path) }),
      h('a', { class: 'icon-button', href: `${path}/recordings`, title: t('recordings.title'), 'aria-label': t('home.recordings-of', { title: meeting.title }) }, icon('film')),
      meeting.status !== 'ended' && h('a', { class: 'button primary', href: path, 'aria-label': t('home.open-of', { title: meeting.title }) }, t('home.open'))));
}

/** @param {import('./main.js').Context} context */
async function signOut(context) {
  await rest.logout();
  forgetUser();
  context.navigate('/');
}
