/** Values as people read them. */

/** @param {string} name @returns {string} one or two letters for an avatar */
export function initials(name) {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return letters.map((word) => [...word].slice(0, 1).join('').toUpperCase()).join('') || '?';
}

/** @param {unknown} error @returns {string} the sentence of it to show */
export function sentenceOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** @param {unknown} error @returns {string} the stable code of a refusal, '' for what is none */
export function codeOf(error) {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** @param {string} id @returns {number} a hue in degrees, the same for the same id */
export function hue(id) {
  let hash = 0x811c9dc5;
  for (const character of id) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  // The golden angle takes neighbouring hashes far apart.
  return Math.round((hash % 1000) * 137.508) % 360;
}

/** @param {number} ms @returns {string} 0:07, 12:34, 1:02:03 */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  /** @param {number} number */
  const two = (number) => String(number).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** @param {number} bytes @returns {string} */
export function size(bytes) {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** @param {string|number} time RFC 3339 or Unix ms @returns {string} date and time in the reader's manner */
export function dateTime(time) {
  return new Date(time).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}

/** @param {string|number} time @returns {string} */
export function clock(time) {
  return new Date(time).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });
}

/** Accept a meeting's id or any form of its link. @param {string} text @returns {string} the id, '' for neither */
export function meetingIdOf(text) {
  const trimmed = text.trim();
  const inLink = /\/m\/([^/?#\s]+)/.exec(trimmed)?.[1];
  if (inLink) return decodeURIComponent(inLink);
  return /^[\w-]+$/.test(trimmed) ? trimmed : '';
}
