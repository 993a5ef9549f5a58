/**
 * Our permissions, with the defaults that messages omit.
 *
 * @typedef {import('./publish-peer.js').Source} Source
 * @typedef {{publish: Source[], subscribe: boolean, chat: boolean, data: boolean, muted: Source[], host: boolean, presenter: boolean, record: boolean, unmute: boolean, rename: boolean}} Grants
 *   `muted`: sources that a host holds muted; `unmute`: we may release them; `rename`: we may change our name
 */

/** @type {Source[]} */
const ALL_SOURCES = ['microphone', 'camera', 'screen', 'screen-audio'];

/** @param {Partial<Grants>} sent @returns {Grants} */
export function grantsOf(sent) {
  return { publish: ALL_SOURCES, subscribe: true, chat: true, data: true, muted: [], host: false, presenter: false, record: false, unmute: true, rename: true, ...sent };
}
