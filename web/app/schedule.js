/** The dialog for scheduling a meeting, or editing a scheduled one. */
import { showForm } from './dialogs.js';
import { h } from './dom.js';
import { area, check, choice, field, form } from './fields.js';
import { lastDayOf, REPEATS, repeatOf, ruleOf } from './recurrence.js';
import { rest } from './session.js';
import { t } from './words.js';
import { clocksIn, ownZone, timeIn, zones } from './zones.js';

/** Policies on consent to recording. */
const CONSENTS = ['ask', 'implied', 'required'];

/** Languages of the notice that recording begins. */
const NOTICES = ['none', 'en', 'zh-CN'];

/** Codecs for sending video. Every browser decodes VP8; the others need fewer bits but more CPU time. */
const CODECS = [['VP8', 'VP8'], ['VP9', 'VP9'], ['AV1', 'AV1'], ['H264', 'H.264']];
const MINUTES = [15, 30, 45, 60, 90, 120, 180];
const HALF_AN_HOUR = 30 * 60_000;

/** @param {any} [meeting] the meeting to edit; none for a new one @returns {Promise<any>} the saved meeting, null if dismissed */
export async function showSchedule(meeting) {
  let done = null;
  const settings = meeting?.settings ?? (await rest.server().catch(() => ({}))).meeting_defaults ?? { guests: true };
  await showForm(t(meeting ? 'schedule.edit' : 'schedule.title'), (close) => {
    const { element, read } = fields(meeting, settings);
    return [form({
      action: t(meeting ? 'action.save' : 'home.schedule'),
      submit: async () => {
        const plan = read();
        done = await (meeting ? rest.put(`/meetings/${encodeURIComponent(meeting.id)}`, plan) : rest.createMeeting(plan));
        close();
      },
    }, element)];
  });
  return done;
}

/** @param {any} meeting @param {any} settings at first @returns {{element: HTMLElement, read: () => object}} */
function fields(meeting, settings) {
  const title = field(t('home.title'), { name: 'title', placeholder: t('home.title-example'), maxlength: 200, autocomplete: 'off', value: meeting?.title ?? '' });
  const about = area(t('schedule.about'), { name: 'description', maxlength: 4000, rows: 2 }, meeting?.description ?? '');
  const time = timeFields(meeting);
  const guests = check(t('home.guests'), t('home.guests-text'), settings.guests);
  const lobby = check(t('home.lobby'), t('home.lobby-text'), settings.lobby);
  const passcode = field(t('home.passcode'), {
    name: 'passcode', minlength: 6, maxlength: 64, autocomplete: 'off', hint: t('home.passcode-hint'),
    placeholder: t(meeting?.passcode_required ? 'schedule.passcode-kept' : 'home.passcode-none'),
  });
  const open = check(t('schedule.passcode-none'), '', false, (checked) => (passcode.input.disabled = checked));
  const muted = check(t('home.mute-on-entry'), t('home.mute-on-entry-text'), settings.mute_on_entry);
  const webinar = check(t('home.webinar'), t('home.webinar-text'), settings.webinar);
  const sealed = check(t('home.e2ee'), t('home.e2ee-text'), settings.e2ee);
  const live = check(t('home.broadcast'), t('home.broadcast-text'), settings.broadcast);
  const consent = choice(t('home.consent'), 'record', () => undefined);
  consent.select.name = 'consent';
  consent.select.append(...CONSENTS.map((value) => h('option', { value }, t(`home.consent-${value}`))));
  consent.select.value = settings.consent ?? 'ask';
  const notice = choice(t('home.notice'), 'volume', () => undefined);
  notice.select.name = 'recording-notice';
  notice.select.append(...NOTICES.map((value) => h('option', { value }, t(`home.notice-${value}`))));
  notice.select.value = settings.recording_notice ?? 'none';
  const codec = choice(t('home.codec'), 'camera', () => undefined);
  codec.select.name = 'codec';
  codec.select.append(...CODECS.map(([value, words]) => h('option', { value }, words)));
  codec.select.value = settings.codec ?? 'VP8';
  const kept = field(t('schedule.keep-recordings'), {
    name: 'keep-recordings', type: 'number', min: 1, max: 3650, inputmode: 'numeric', value: settings.keep_recordings_days ?? '',
    placeholder: t('schedule.keep-recordings-always'), hint: t('schedule.keep-recordings-hint'),
  });
  const more = h('details', { class: 'more-options' },
    h('summary', {}, t('home.options')),
    h('div', { class: 'form' }, passcode.element, meeting?.passcode_required && open.element, muted.element, webinar.element, live.element, sealed.element, consent.element, notice.element, kept.element, codec.element));
  // Open the section with the invalid field: browsers cannot show a message in a closed one.
  more.addEventListener('invalid', () => (more.open = true), true);
  const read = () => ({
    title: title.input.value.trim() || t('home.title-default'),
    description: about.input.value.trim(),
    ...time.read(),
    ...(open.input.checked ? { passcode: null } : passcode.input.value ? { passcode: passcode.input.value } : {}),
    settings: {
      guests: guests.input.checked, lobby: lobby.input.checked, mute_on_entry: muted.input.checked, e2ee: sealed.input.checked, webinar: webinar.input.checked,
      broadcast: live.input.checked, consent: consent.select.value, recording_notice: notice.select.value, codec: codec.select.value,
      keep_recordings_days: kept.input.value === '' ? null : Number(kept.input.value),
    },
  });
  return { element: h('div', { class: 'form' }, title.element, time.element, about.element, guests.element, lobby.element, more), read };
}

/** The fields for the time: start, length, time zone, recurrence. @param {any} meeting @returns {{element: HTMLElement, read: () => object}} */
function timeFields(meeting) {
  const own = meeting?.scheduled_start ? meeting.time_zone : ownZone();
  const first = meeting ? meeting.scheduled_start : new Date(Math.ceil(Date.now() / HALF_AN_HOUR) * HALF_AN_HOUR).toISOString();
  const start = field(t('home.start'), { name: 'start', type: 'datetime-local', hint: t('schedule.start-hint'), value: first ? clocksIn(first, own) : '' });
  const length = choice(t('schedule.length'), 'clock', () => undefined);
  const now = meeting?.scheduled_end ? Math.round((Date.parse(meeting.scheduled_end) - Date.parse(meeting.scheduled_start)) / 60_000) : 60;
  length.select.name = 'length';
  length.select.append(...[...new Set([...MINUTES, now])].sort((a, b) => a - b).map((minutes) => h('option', { value: minutes }, t('schedule.minutes', { minutes }))));
  length.select.value = String(now);
  const zone = choice(t('schedule.zone'), 'globe', () => undefined);
  zone.select.name = 'zone';
  zone.select.append(...[...new Set([own, ...zones()])].map((name) => h('option', { value: name }, name.replace(/_/g, ' '))));
  zone.select.value = own;
  const repeat = choice(t('repeat.label'), 'repeat', () => follow());
  repeat.select.name = 'repeat';
  const before = repeatOf(meeting?.recurrence ?? null);
  repeat.select.append(...[...REPEATS, ...(before === 'other' ? ['other'] : [])].map((value) => h('option', { value }, t(`repeat.${value}`))));
  repeat.select.value = before;
  const last = field(t('repeat.last'), { name: 'last', type: 'date', value: lastDayOf(meeting?.recurrence ?? null, own) });
  const follow = () => {
    const timed = start.input.value !== '';
    for (const { select } of [length, zone, repeat]) select.disabled = !timed;
    last.element.hidden = !timed || repeat.select.value === 'none' || repeat.select.value === 'other';
    last.input.min = start.input.value.slice(0, 10);
  };
  start.input.addEventListener('input', follow);
  follow();
  const read = () => {
    const none = { scheduled_start: null, scheduled_end: null, recurrence: null };
    if (start.input.value === '') return meeting ? none : {};
    const at = timeIn(start.input.value, zone.select.value);
    return {
      scheduled_start: at.toISOString(),
      scheduled_end: new Date(at.getTime() + Number(length.select.value) * 60_000).toISOString(),
      time_zone: zone.select.value,
      recurrence: repeat.select.value === 'other' ? meeting.recurrence : ruleOf(repeat.select.value, last.element.hidden ? '' : last.input.value, zone.select.value),
    };
  };
  return {
    element: h('div', { class: 'form' }, h('div', { class: 'pair pair-start' }, start.element, length.element), h('div', { class: 'pair' }, repeat.element, zone.element), last.element),
    read,
  };
}
