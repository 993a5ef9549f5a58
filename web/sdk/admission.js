/** The `admit` of a Room: joins by REST, waits in the lobby, and rejoins as the same participant. */
import { RestError } from './rest.js';

/**
 * @param {import('./rest.js').Rest} rest
 * @param {string} meeting
 * @param {{name?: string, passcode?: string, rejoin_secret?: string, admission_token?: string}} who `rejoin_secret`: kept
 *   from an earlier page; `admission_token`: from `Rest.admit`
 * @param {object} [options]
 * @param {(answer: any) => void} [options.admitted] receives each response, for example to keep the rejoin secret across a reload
 * @param {(waiting: boolean) => void} [options.waiting] called with true while we wait for a host to let us in
 * @param {AbortSignal} [options.signal] ends the wait
 * @returns {() => Promise<{url: string, token: string, iceServers: RTCIceServer[], webtransport: object|null}>}
 */
export function admission(rest, meeting, who, { admitted = () => undefined, waiting = () => undefined, signal } = {}) {
  const { rejoin_secret: kept, ...stranger } = who;
  let secret = kept;
  /** @param {{passcode?: string}} more */
  const join = (more) => rest.join(meeting, { ...stranger, ...(secret ? { rejoin_secret: secret } : {}), ...more });
  // The ticket proves that the passcode was correct.
  /** @param {{lobby_ticket: string}} waiting */
  const askAgain = ({ lobby_ticket }) => rest.join(meeting, { name: stranger.name, lobby_ticket });

  async function joinOnce() {
    try {
      return await join({});
    } catch (error) {
      // A stored secret may belong to another account, or to a deleted meeting.
      if (!(error instanceof RestError) || error.code !== 'rejoin_secret' || secret !== kept) throw error;
      secret = undefined;
      return join({});
    }
  }

  return async () => {
    let answer = await joinOnce();
    if (answer.lobby_ticket) waiting(true);
    while (answer.lobby_ticket) {
      await pause(answer.retry_seconds * 1000, signal);
      answer = await askAgain(answer);
      if (!answer.lobby_ticket) waiting(false);
    }
    secret = answer.rejoin_secret ?? secret;
    admitted(answer);
    const { signaling_url: url, token, ice_servers: iceServers = [], webtransport = null } = answer;
    const door = webtransport && rest.host !== null ? { ...webtransport, host: webtransport.host ?? rest.host } : webtransport;
    return { url: rest.resolve(url), token, iceServers, webtransport: door };
  };
}

/** @param {number} ms @param {AbortSignal} [signal] */
function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve(undefined);
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}
