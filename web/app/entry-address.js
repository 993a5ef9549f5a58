/**
 * The options that an application puts into the fragment of a meeting's address, such as `#token=…&camera=off`. Browsers send
 * a fragment to no server. It is read once and then removed, so that people who copy the address do not copy the token.
 *
 * @typedef {{token: string, name: string, camera: boolean, microphone: boolean, prejoin: boolean, layout: string,
 *   buttons: Set<string>|null}} Given `token`: an admission token; `buttons`: the buttons of the bar, null for all
 */
import { attendance, rememberAttendance } from './preferences.js';

/** @param {string} meeting @returns {Given} */
export function readAddress(meeting) {
  const given = new URLSearchParams(location.hash.slice(1));
  if (location.hash) history.replaceState(history.state, '', location.pathname + location.search);
  const token = given.get('token');
  // The token may be for another person than the one who used this tab before.
  if (token) rememberAttendance(meeting, { token });
  const buttons = given.get('buttons');
  return {
    token: attendance(meeting).token ?? '',
    name: given.get('name') ?? '',
    camera: given.get('camera') !== 'off',
    microphone: given.get('microphone') !== 'off',
    prejoin: given.get('prejoin') !== 'off',
    layout: given.get('layout') ?? '',
    buttons: buttons === null ? null : new Set([...buttons.split(',').map((one) => one.trim()), 'leave']),
  };
}
