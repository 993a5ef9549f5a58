/** Local times in other time zones (IANA), computed with Intl. */

/** @returns {string} the time zone of this device */
export function ownZone() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
}

/** @returns {string[]} all time zones to choose from */
export function zones() {
  return [...new Set([ownZone(), 'UTC', ...Intl.supportedValuesOf('timeZone')])];
}

/** The local time in a zone. @param {number|string|Date} time @param {string} zone @returns {string} in the format of a datetime-local field */
export function clocksIn(time, zone) {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone: zone, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit',
  }).formatToParts(new Date(time));
  /** @param {string} type */
  const part = (type) => parts.find((one) => one.type === type)?.value ?? '';
  return `${part('year').padStart(4, '0')}-${part('month')}-${part('day')}T${part('hour')}:${part('minute')}`;
}

/** @param {string} local date and time in the format of a datetime-local field @param {string} zone @returns {Date} the instant of this local time */
export function timeIn(local, zone) {
  const wanted = Date.parse(`${local}Z`);
  /** @param {number} time */
  const ahead = (time) => Date.parse(`${clocksIn(time, zone)}Z`) - time;
  // Twice, since the offset of the zone may differ between the first guess and the result.
  const guess = wanted - ahead(wanted);
  return new Date(wanted - ahead(guess));
}
