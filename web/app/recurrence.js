/** Recurrence rules of meetings (RFC 5545, section 3.3.10): those that the page offers. Other rules are kept unchanged. */
import { timeIn } from './zones.js';

/** @type {[string, string][]} */
const RULES = [
  ['daily', 'FREQ=DAILY'],
  ['weekdays', 'FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR'],
  ['weekly', 'FREQ=WEEKLY'],
  ['fortnightly', 'FREQ=WEEKLY;INTERVAL=2'],
  ['monthly', 'FREQ=MONTHLY'],
  ['yearly', 'FREQ=YEARLY'],
];
export const REPEATS = ['none', ...RULES.map(([name]) => name)];

const UNTIL = /;?UNTIL=(\d{4})(\d{2})(\d{2})(T(\d{2})(\d{2})(\d{2})Z?)?/;

/** @param {string|null} rule @returns {string} one of REPEATS, or 'other' */
export function repeatOf(rule) {
  if (!rule) return 'none';
  const plain = rule.replace(UNTIL, '');
  return RULES.find(([, one]) => one === plain)?.[0] ?? 'other';
}

/** @param {string|null} rule @param {string} zone @returns {string} its last day, in the format of a date field; '' without an end */
export function lastDayOf(rule, zone) {
  const found = UNTIL.exec(rule ?? '');
  if (!found) return '';
  const [, year, month, day, time, hour, minute] = found;
  if (!time) return `${year}-${month}-${day}`;
  const local = new Intl.DateTimeFormat('en-CA', { timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit' });
  return local.format(new Date(`${year}-${month}-${day}T${hour}:${minute}:00Z`));
}

/** @param {string} repeat one of REPEATS @param {string} lastDay '' for no end @param {string} zone @returns {string|null} */
export function ruleOf(repeat, lastDay, zone) {
  const rule = RULES.find(([name]) => name === repeat)?.[1];
  if (!rule) return null;
  if (!lastDay) return rule;
  const end = timeIn(`${lastDay}T23:59`, zone).toISOString().replace(/[-:]|\.\d+/g, '');
  return `${rule};UNTIL=${end}`;
}
