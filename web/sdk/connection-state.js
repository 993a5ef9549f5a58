/**
 * The state of the connection, derived from signaling and media.
 *
 * @typedef {{state: 'idle'|'connecting'|'connected'|'media-lost'|'reconnecting'|'closed', retryAt?: number,
 *   code?: string, reason?: string}} ConnectionState `media-lost`: signaling works, but media does not get through
 */

/**
 * @param {import('./signaling.js').SignalingState} signaling
 * @param {boolean} known whether we were in the room before
 * @param {boolean} moves whether the room moves to another server
 * @param {() => 'connecting'|'connected'|'media-lost'} mediaState
 * @returns {ConnectionState}
 */
export function describeConnection({ state, retryAt, code, reason }, known, moves, mediaState) {
  switch (state) {
    case 'closed':
      return { state, code, reason };
    case 'waiting':
      return { state: known ? 'reconnecting' : 'connecting', retryAt, code, reason };
    case 'connecting':
      if (moves) return { state: 'reconnecting', code: 'moved' };
      return { state: known ? 'reconnecting' : 'connecting' };
    case 'joined':
      return { state: mediaState() };
    default:
      return { state: 'idle' };
  }
}
