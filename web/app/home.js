/** `/`: sign in or register; when signed in, the meetings of the account. */
import { accountTop } from './account-top.js';
import { h } from './dom.js';
import { field, form } from './fields.js';
import { codeOf, longDate, meetingIdOf, meetingLinkIn, sentenceOf } from './format.js';
import { icon } from './icons.js';
import { MeetingLists } from './meeting-lists.js';
import { currentUser, forgetUser, rest } from './session.js';
import { signInCard } from './sign-in.js';
import { toast } from './toasts.js';
import { t } from './words.js';
import { top } from './shell.js';

/** @param {HTMLElement} page @param {import('./main.js').Context} context */
export async function showHome(page, context) {
  // Something was shared with the installed page: an invitation leads to its meeting.
  if (context.query.has('shared') || context.query.has('shared-link')) {
    const link = meetingLinkIn(`${context.query.get('shared-link') ?? ''} ${context.query.get('shared') ?? ''}`);
    history.replaceState(null, '', link || '/');
    if (link) return context.again();
    toast(t('home.nothing-shared'), 'problem');
  }
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
        joinByLink(context, field(t('home.link'), joining()))),
      h('section', { class: 'welcome-account' },
        server.setup_needed && h('p', { class: 'card notice' },
          t('home.no-admin')),
        card)),
  );
}

/** Attributes of the field for a meeting's link or id. */
function joining() {
  return { placeholder: t('home.link-example'), name: 'link', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', required: true };
}

/** @param {import('./main.js').Context} context @param {{element: HTMLElement, input: HTMLInputElement}} link */
function joinByLink(context, link) {
  return form({
    action: t('home.join'),
    class: 'inline',
    manner: '',
    submit: async () => {
      const id = meetingIdOf(link.input.value);
      if (!id) throw new Error(t('home.bad-link'));
      context.navigate(`/m/${encodeURIComponent(id)}`);
    },
  }, link.element);
}

/** @param {HTMLElement} page @param {import('./main.js').Context} context @param {any} user */
async function showMeetings(page, context, user) {
  const lists = new MeetingLists(context, user);
  const now = h('button', { type: 'button', class: 'button primary', onclick: () => void meetNow() }, icon('camera'), t('home.now'));
  const schedule = h('button', { type: 'button', class: 'button', onclick: () => void lists.schedule() }, icon('calendar'), t('home.schedule'));
  const link = h('input', { class: 'input', 'aria-label': t('home.link-example'), ...joining() });

  async function meetNow() {
    now.disabled = true;
    try {
      const { id } = await rest.createMeeting({ title: t('home.title-of', { name: user.display_name }).slice(0, 200) });
      if (!context.signal.aborted) context.navigate(`/m/${encodeURIComponent(id)}`);
    } catch (error) {
      toast(sentenceOf(error), 'problem');
      now.disabled = false;
    }
  }

  page.replaceChildren(
    accountTop(context, user),
    h('main', { class: 'home' },
      h('header', { class: 'home-head' },
        h('p', { class: 'hint' }, longDate(new Date())),
        h('h1', {}, greeting(new Date(), user.display_name))),
      h('div', { class: 'home-actions' }, now, schedule, joinByLink(context, { element: link, input: link })),
      lists.element),
  );
  // The shortcut of the installed page. The meeting takes the place of this address, so that Back does not start another.
  if (context.query.get('meet') === 'now') {
    history.replaceState(null, '', '/');
    void meetNow();
  }
  try {
    await lists.load();
  } catch (error) {
    if (codeOf(error) !== 'second_factor_setup') throw error;
    context.navigate('/account?second-factor');
  }
}

/** @param {Date} time @param {string} name */
function greeting(time, name) {
  const hour = time.getHours();
  const part = hour < 5 || hour >= 18 ? 'evening' : hour < 12 ? 'morning' : 'afternoon';
  return t(`home.good-${part}`, { name });
}
