/** Times on the clocks of other places (IANA time zones), by what Intl knows of them. */

/** @returns {string} the zone of this device */
export function ownZone() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
}

/** @returns {string[]} every zone that can be chosen */
export function zones() {
  return [...new Set([ownZone(), 'UTC', ...Intl.supportedValuesOf('timeZone')])];
}

/** What the clocks of a zone show. @param {number|string|Date} time @param {string} zone @returns {string} as a datetime-local field has it */
export function clocksIn(time, zone) {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone: zone, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit',
  }).formatToParts(new Date(time));
  /** @param {string} type */
  const part = (type) => parts.find((one) => one.type === type)?.value ?? '';
  return `${part('year').padStart(4, '0')}-${part('month')}-${part('day')}T${part('hour')}:${part('minute')}`;
}

/** @param {string} local date and time as a datetime-local field has them @param {string} zone @returns {Date} when the clocks of the zone show it */
export function timeIn(local, zone) {
  const wanted = Date.parse(`${local}Z`);
  /** @param {number} time */
  const ahead = (time) => Date.parse(`${clocksIn(time, zone)}Z`) - time;
  // Twice, since the clocks may have changed between the first guess and the time meant.
  const guess = wanted - ahead(wanted);
  return new Date(wanted - ahead(guess));
}
