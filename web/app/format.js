/** Formats values for people. */
import { known, language, t } from './words.js';

/** @returns {string} the language shown, with the user's region: dates and numbers differ between regions */
function locale() {
  const tongue = language().split('-')[0];
  return navigator.languages.find((tag) => tag.split('-')[0] === tongue) ?? language();
}

/** @param {string} name @returns {string} one or two letters for an avatar */
export function initials(name) {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return letters.map((word) => [...word].slice(0, 1).join('').toUpperCase()).join('') || '?';
}

/** @param {unknown} error @returns {string} the sentence to show */
export function sentenceOf(error) {
  // The request got no response; the browser's message is meant for developers.
  if (error instanceof TypeError) return t('error.network');
  const code = codeOf(error);
  const sentence = error instanceof Error ? error.message : String(error);
  return code ? refusal(code, sentence) : sentence;
}

/** The text for an error of the server: by its code if the catalogue has it, otherwise the detail. @param {string} code @param {string} detail */
export function refusal(code, detail) {
  return t(known(`error.${code}`) ? `error.${code}` : 'error.other', { detail });
}

/** @param {string[]} names @returns {string} one text, as the language joins them */
export function listed(names) {
  return new Intl.ListFormat(language(), { type: 'conjunction' }).format(names);
}

/** @param {unknown} error @returns {string} the stable code of a refusal, '' for other errors */
export function codeOf(error) {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** @param {string} id @returns {number} a hue in degrees, the same for the same id */
export function hue(id) {
  let hash = 0x811c9dc5;
  for (const character of id) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  // The golden angle separates neighbouring hashes.
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
  const units = ['', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  const number = value.toLocaleString(locale(), { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return unit === 0 ? t('size.bytes', { number }) : `${number} ${units[unit]}`;
}

/** @param {string|number} time RFC 3339 or Unix ms @returns {string} date and time in the user's locale */
export function dateTime(time) {
  return new Date(time).toLocaleString(locale(), { dateStyle: 'medium', timeStyle: 'short' });
}

/** @param {string} day RFC 3339 full-date @returns {string} day and month */
export function shortDay(day) {
  return new Date(`${day}T00:00:00Z`).toLocaleDateString(locale(), { day: 'numeric', month: 'short', timeZone: 'UTC' });
}

/** @param {string|number} time @returns {string} */
export function clock(time) {
  return new Date(time).toLocaleTimeString(locale(), { hour: '2-digit', minute: '2-digit' });
}

/** @param {Date} time @returns {string} weekday, day and month */
export function longDate(time) {
  return time.toLocaleDateString(locale(), { weekday: 'long', day: 'numeric', month: 'long' });
}

/** @param {string} time @returns {string} “today”, “tomorrow”, or the date */
export function dayName(time) {
  const day = new Date(time);
  const now = new Date();
  const days = Math.round((midnight(day) - midnight(now)) / 86_400_000);
  if (days === 0 || days === 1) return t(days === 0 ? 'day.today' : 'day.tomorrow');
  const year = day.getFullYear() === now.getFullYear() ? undefined : 'numeric';
  return day.toLocaleDateString(locale(), { weekday: 'long', day: 'numeric', month: 'long', year });
}

/** @param {Date} time @returns {number} */
function midnight(time) {
  return new Date(time.getFullYear(), time.getMonth(), time.getDate()).getTime();
}

/** @param {string} time @returns {string} the relative time within one hour of now; '' otherwise */
export function soon(time) {
  const minutes = Math.round((Date.parse(time) - Date.now()) / 60_000);
  if (Math.abs(minutes) > 60) return '';
  return new Intl.RelativeTimeFormat(language(), { numeric: 'auto' }).format(minutes, 'minute');
}

/** Accept a meeting's id or any form of its link. @param {string} text @returns {string} the id, '' if it is neither */
export function meetingIdOf(text) {
  const trimmed = text.trim();
  const inLink = /\/m\/([^/?#\s]+)/.exec(trimmed)?.[1];
  if (inLink) return decodeURIComponent(inLink);
  return /^[\w-]+$/.test(trimmed) ? trimmed : '';
}

/** The address of the first meeting of this server that a text links to, '' if there is none. @param {string} text @returns {string} */
export function meetingLinkIn(text) {
  for (const [link] of text.matchAll(/https?:\/\/[^\s<>"'，。）]+/g)) {
    const url = URL.canParse(link) ? new URL(link) : null;
    if (url?.host === location.host && /^\/m\/[^/]+\/?$/.test(url.pathname)) return url.pathname + url.hash;
  }
  return '';
}
