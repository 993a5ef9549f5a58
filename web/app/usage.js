/** `/admin/usage`: what the server was used for, day by day, as charts and as a table. */
import { barChart } from './bar-chart.js';
import { h } from './dom.js';
import { choice } from './fields.js';
import { sentenceOf, shortDay, size } from './format.js';
import { rest } from './session.js';
import { toast } from './toasts.js';
import { t } from './words.js';

const PERIODS = ['7', '30', '90', '365'];

/** @typedef {{day: string, calls: number, participants: number, minutes: number, failed_joins: number, recording_bytes: number|null, file_bytes: number|null}} Day */

/** @type {{name: 'calls'|'participants'|'minutes'|'failed-joins'|'storage', of: (day: Day) => number|null, whole: 'total'|'today'|'latest'}[]} */
const MEASURES = [
  { name: 'calls', of: (day) => day.calls, whole: 'total' },
  { name: 'participants', of: (day) => day.participants, whole: 'today' },
  { name: 'minutes', of: (day) => day.minutes, whole: 'total' },
  { name: 'failed-joins', of: (day) => day.failed_joins, whole: 'total' },
  { name: 'storage', of: (day) => (day.recording_bytes === null || day.file_bytes === null ? null : day.recording_bytes + day.file_bytes), whole: 'latest' },
];

/** @param {AbortSignal} signal @returns {HTMLElement[]} */
export function usage(signal) {
  const charts = h('div', { class: 'charts' });
  const table = h('div');
  const period = choice(t('usage.period'), 'clock', (days) => void load(days));
  period.select.append(...PERIODS.map((days) => h('option', { value: days, selected: days === '30' }, t('usage.days', { days: Number(days) }))));

  /** @param {string} days */
  async function load(days) {
    const query = new URLSearchParams({ days, time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC' });
    try {
      const answer = await rest.get(`/admin/usage?${query}`);
      if (signal.aborted || period.select.value !== days) return;
      charts.replaceChildren(...MEASURES.map((measure) => chartOf(measure, answer.days)));
      table.replaceChildren(tableOf(answer.days));
    } catch (error) {
      toast(sentenceOf(error), 'problem');
    }
  }

  void load(period.select.value);
  return [period.element, charts, table];
}

/** @param {typeof MEASURES[number]} measure @param {Day[]} days */
function chartOf({ name, of, whole }, days) {
  const values = days.map(of);
  const known = values.filter((value) => value !== null);
  const value = whole === 'total' ? known.reduce((sum, one) => sum + one, 0) : known.at(-1) ?? 0;
  return barChart({
    title: t(`usage.${name}`),
    entries: days.map(({ day }, index) => ({ label: shortDay(day), value: values[index] })),
    say: (one) => say(name, one),
    total: known.length === 0 ? t('usage.unknown') : t(`usage.${whole}`, { value: say(name, value) }),
    unknown: t('usage.unknown'),
  });
}

/** @param {Day[]} days the latest comes first */
function tableOf(days) {
  return h('details', { class: 'usage-table' }, h('summary', {}, t('usage.table')),
    h('table', { class: 'data-table', 'aria-label': t('admin.usage') },
      h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, t('usage.day')), ...MEASURES.map(({ name }) => h('th', { scope: 'col', class: 'number' }, t(`usage.${name}`))))),
      h('tbody', {}, ...days.toReversed().map((day) => h('tr', {}, h('th', { scope: 'row' }, shortDay(day.day)), ...MEASURES.map(({ name, of }) => {
        const value = of(day);
        return h('td', { class: 'number', 'data-label': t(`usage.${name}`) }, value === null ? '–' : say(name, value));
      }))))));
}

/** @param {string} name of a measure @param {number} value */
function say(name, value) {
  return name === 'storage' ? size(value) : t('usage.number', { value });
}
