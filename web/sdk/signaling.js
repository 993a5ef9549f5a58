/**
 * Signaling: JSON messages over a WebSocket or WebTransport, tagged by `kind`, with reconnection.
 *
 * A `Signaling` lasts for one attendance, across connections. It joins with a token from `admit`. For 15 s after a lost
 * connection it resumes with the secret of the last room-info; later, or if that is refused, it calls `admit` again, which
 * uses the rejoin secret. It ends with `leave()` or with a refusal that a retry cannot change.
 *
 * Events: `message` (detail: the parsed message), `state` (detail: SignalingState).
 *
 * @typedef {{state: 'connecting'|'joined'|'waiting'|'closed', retryAt?: number, code?: string, reason?: string}}
 *   SignalingState `retryAt` is in `performance.now()` milliseconds; `code` and `reason` say why it waits or was closed
 * @typedef {{kind: string, [field: string]: any}} Message
 * @typedef {{url: string, token: string, webtransport?: import('./webtransport-socket.js').WebTransportEndpoint|null}}
 *   Admission where to connect, and the join token
 */
import { delayBefore } from './backoff.js';
import { Emitter } from './emitter.js';
import { EarlySocket, RacingSocket } from './racing-socket.js';

export const VERSION = 1;
export const RESUME_MS = 15_000;
const PING_MS = 5_000;
/** Maximum time for a pong while media has stopped: both together mean a dead server, not a slow one. */
const PROBE_MS = 1_500;
/** A probe ends sooner on fast links, but not before a lost packet could be retransmitted. */
const MIN_PROBE_MS = 800;
const PROBE_ROUND_TRIPS = 4;
const OPEN_MS = 10_000;
/** A connection shorter than this does not reset the back-off: a server that drops everyone must not be flooded. */
const HELD_MS = 3_000;
/** Attempts before the first room-info; later ones never run out. */
const FIRST_JOIN_ATTEMPTS = 4;
/** The back-off while nothing answers stays at this attempt: a server that restarts is back soon, and refusing costs it nothing. */
const SILENT_ATTEMPT = 2;
/** Statuses of a gateway whose server does not answer. */
const NOT_THERE = new Set([502, 504]);
/** Admissions refused in a row before a refusal is believed. */
const REFUSED_ADMISSIONS = 3;

/** Refusals that end the attendance: a retry would be refused again, or is not allowed. */
export const FINAL_CODES = new Set(['removed', 'banned', 'ended', 'replaced', 'unsupported_version', 'consent_required']);

/** Reasons to rejoin: the room moved to another server or closed, or we are assigned to another room. */
const ELSEWHERE = new Set(['moved', 'shutdown', 'node_lost', 'reassigned']);

/** Temporary refusals: a retry may succeed. */
const FOR_NOW = new Set(['not_ready']);

/** The reason that a join failed or an attendance ended; `code` is stable. */
export class SignalingError extends Error {
  /** @param {string} code @param {string} detail */
  constructor(code, detail) {
    super(detail);
    this.name = 'SignalingError';
    this.code = code;
  }
}

export class Signaling extends Emitter {
  #admit;
  #client;
  #resumeMs;
  #backoff;
  #pingMs;
  /** @type {RacingSocket|null} */
  #socket = null;
  /** @type {import('./webtransport-socket.js').WebTransportEndpoint|null} */
  #door = null;
  /** @type {EarlySocket|null} */
  #early = null;
  #resume = '';
  #url = '';
  #lostAt = 0;
  #joined = false;
  #everJoined = false;
  #closed = false;
  #refusedAdmissions = 0;
  /** @type {(() => void)|null} */
  #wake = null;
  /** @type {{resolve: (info: object) => void, reject: (error: Error) => void}|null} */
  #first = null;
  #pingId = 0;
  #pingSentAt = 0;
  #heardSincePing = true;
  /** @type {ReturnType<typeof setInterval>|undefined} */
  #pingTimer;
  #probeMs;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #probing;
  #online = () => this.retryNow();

  /** Round-trip time of signaling in ms, or null before the first pong. @type {number|null} */
  roundTrip = null;

  /**
   * @param {object} options
   * @param {(again: boolean) => Promise<Admission>} options.admit obtains a token; `again` after the first time
   * @param {import('./webtransport-socket.js').WebTransportEndpoint|null} [options.door] the WebTransport endpoint, if known
   *   before the join: it is then connected during the join
   * @param {EarlySocket|null} [options.early] a WebTransport session that is already open
   * @param {string} [options.client] name and version of the client, for the server's log
   * @param {number} [options.resumeMs]
   * @param {number} [options.pingMs]
   * @param {number} [options.probeMs]
   * @param {(attempt: number) => number} [options.backoff]
   */
  constructor({
    admit, door = null, early = null, client = 'parley-web', resumeMs = RESUME_MS, pingMs = PING_MS, probeMs = PROBE_MS, backoff = delayBefore,
  }) {
    super();
    this.#admit = admit;
    this.#door = door;
    this.#early = early;
    this.#client = client;
    this.#resumeMs = resumeMs;
    this.#pingMs = pingMs;
    this.#probeMs = probeMs;
    this.#backoff = backoff;
  }

  /** The transport: `websocket` or `webtransport`; '' without a connection. */
  get carrier() {
    return this.#socket?.kind ?? '';
  }

  /** True from a room-info until its connection is lost. */
  get joined() {
    return this.#joined;
  }

  /** True if the server has sent anything since the last ping. */
  get answered() {
    return this.#joined && this.#heardSincePing;
  }

  /** Connect and join. @returns {Promise<object>} the first room-info; rejects if the join is refused or the server unreachable */
  start() {
    globalThis.addEventListener('online', this.#online);
    return new Promise((resolve, reject) => {
      this.#first = { resolve, reject };
      void this.#run();
    });
  }

  /**
   * Send a message. Without a joined connection it is dropped: the room repeats its requests after each room-info.
   * @param {Message} message
   * @returns {boolean} true if it was handed to the socket
   */
  send(message) {
    if (!this.#joined || this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /**
   * Probe the server because media has stopped, and reconnect if it does not answer. A server that loses power or its
   * network closes no connection.
   */
  probe() {
    const socket = this.#socket;
    if (!this.#joined || !socket || this.#probing) return;
    const usual = this.roundTrip === null ? this.#probeMs : PROBE_ROUND_TRIPS * this.roundTrip;
    this.#ping();
    this.#probing = setTimeout(() => {
      this.#probing = undefined;
      if (socket === this.#socket && !this.#heardSincePing) this.#drop(socket);
    }, Math.min(this.#probeMs, Math.max(MIN_PROBE_MS, usual)));
  }

  /** Probe the server. @param {number} ms to wait @returns {Promise<boolean>} true if it sent anything meanwhile */
  async answers(ms) {
    if (!this.#joined) return false;
    // Restart the regular pings: this one must not count as unanswered.
    this.#startPings();
    await new Promise((resolve) => void setTimeout(resolve, ms));
    return this.#heardSincePing;
  }

  /** End the wait before a retry, for example when the user asks or the network is back. */
  retryNow() {
    this.#wake?.();
  }

  /** Leave for good. */
  leave() {
    if (this.#closed) return;
    this.send({ kind: 'leave' });
    this.#end('left', '');
  }

  async #run() {
    let isSilent = false;
    for (let attempt = 0; !this.#closed; attempt += 1) {
      this.#emitState({ state: 'connecting' });
      const failure = await this.#attend();
      if (this.#closed) return;
      // A connection that lasted earns an immediate retry. So does a refused resume, since a rejoin differs, and a server that
      // answers again.
      if (failure.held || failure.resumeRefused || (isSilent && failure.answered)) attempt = 0;
      isSilent = !failure.answered;
      const spent = !this.#everJoined && (failure.refused || attempt + 1 >= FIRST_JOIN_ATTEMPTS);
      if (FINAL_CODES.has(failure.code) || failure.final || spent) {
        this.#end(failure.code, failure.reason);
        return;
      }
      await this.#pause(this.#backoff(isSilent ? Math.min(attempt, SILENT_ATTEMPT) : attempt), failure);
    }
  }

  /** Run one connection, from opening to close. */
  async #attend() {
    const failure = {
      answered: false, joined: false, held: false, final: false, refused: false, resumeRefused: false, code: 'connection_lost', reason: '',
    };
    const resuming = this.#resume !== '' && performance.now() - this.#lostAt < this.#resumeMs;
    let credential;
    let early = null;
    if (resuming) {
      credential = { resume: this.#resume };
    } else {
      early = this.#early ?? EarlySocket.open(this.#door);
      this.#early = null;
      try {
        const admission = await this.#admit(this.#everJoined);
        this.#url = admission.url;
        this.#door = admission.webtransport ?? null;
        credential = { token: admission.token };
      } catch (error) {
        early?.close();
        return this.#admissionFailure(failure, error);
      }
    }
    if (this.#closed) {
      early?.close();
      return failure;
    }
    const begun = performance.now();
    const outcome = await this.#converse(credential, early);
    Object.assign(failure, outcome);
    if (failure.joined) {
      this.#lostAt = performance.now();
      failure.held = this.#lostAt - begun > HELD_MS;
    } else if (failure.refused) {
      if (resuming) this.#resume = '';
      else this.#refusedAdmissions += 1;
      failure.final = this.#refusedAdmissions >= REFUSED_ADMISSIONS;
      failure.refused = !resuming;
      failure.resumeRefused = resuming;
    }
    return failure;
  }

  /** @param {any} failure @param {any} error */
  #admissionFailure(failure, error) {
    failure.answered = error.status !== undefined && !NOT_THERE.has(error.status);
    failure.code = error.code ?? 'unreachable';
    failure.reason = error.message ?? String(error);
    failure.refused = true;
    // A 4xx response is a decision (removed, passcode changed, ended); after anything else the server may recover.
    failure.final = error.status >= 400 && error.status < 500 && error.status !== 408 && error.status !== 429;
    return failure;
  }

  /**
   * Open a socket, join with `credential`, and emit its messages until it closes.
   * @param {{token: string}|{resume: string}} credential @param {EarlySocket|null} early
   */
  #converse(credential, early) {
    return new Promise((resolve) => {
      const outcome = { answered: false, joined: false, refused: false, code: 'connection_lost', reason: 'The connection was lost.' };
      const socket = new RacingSocket(new URL(this.#url, globalThis.location?.href), this.#door, early);
      this.#socket = socket;
      const opening = setTimeout(() => this.#drop(socket), OPEN_MS);
      socket.addEventListener('open', () => {
        outcome.answered = true;
        socket.send(JSON.stringify({ kind: 'join', v: VERSION, client: this.#client, ...credential }));
      });
      socket.addEventListener('message', (/** @type {any} a MessageEvent */ event) => {
        if (socket !== this.#socket) return;
        this.#heardSincePing = true;
        const message = parse(event.data);
        if (message === null) return;
        if (message.kind === 'room-info') {
          clearTimeout(opening);
          outcome.joined = true;
          this.#welcome(message);
        }
        this.#note(message, outcome);
      });
      socket.addEventListener('close', (/** @type {any} a CloseEvent */ event) => {
        clearTimeout(opening);
        this.#stopPings();
        if (socket === this.#socket) this.#socket = null;
        this.#joined = false;
        if (ELSEWHERE.has(event.reason) || ELSEWHERE.has(outcome.code)) this.#resume = '';
        if (outcome.joined && event.code === 1000 && outcome.code === 'connection_lost') {
          outcome.code = 'ended';
          outcome.reason = event.reason;
        }
        resolve(outcome);
      }, { once: true });
    });
  }

  /** @param {Message} info */
  #welcome(info) {
    this.#resume = info.resume;
    this.#joined = true;
    this.#everJoined = true;
    this.#refusedAdmissions = 0;
    this.#startPings();
    this.#emitState({ state: 'joined' });
    this.#first?.resolve(info);
    this.#first = null;
  }

  /** @param {Message} message @param {{code: string, reason: string}} outcome */
  #note(message, outcome) {
    if (message.kind === 'pong') {
      if (message.id === this.#pingId) this.roundTrip = performance.now() - this.#pingSentAt;
      return;
    }
    if (message.kind === 'hello' && !message.versions.includes(VERSION)) {
      Object.assign(outcome, { refused: true, code: 'unsupported_version', reason: 'The server was updated. Reload the page.' });
      this.#socket?.close();
      return;
    }
    if (message.kind === 'error' && message.fatal) {
      Object.assign(outcome, { refused: !FOR_NOW.has(message.code), code: message.code, reason: message.detail });
    }
    this.emit('message', message);
  }

  #startPings() {
    clearInterval(this.#pingTimer);
    this.#ping();
    // Count rounds, not time: a hidden tab's timers are throttled, which must not look like a dead server.
    this.#pingTimer = setInterval(() => {
      const socket = this.#socket;
      if (!socket) return;
      if (!this.#heardSincePing) {
        this.#drop(socket);
        return;
      }
      this.#ping();
    }, this.#pingMs);
  }

  #ping() {
    this.#heardSincePing = false;
    this.#pingId += 1;
    this.#pingSentAt = performance.now();
    this.send({ kind: 'ping', id: this.#pingId });
  }

  #stopPings() {
    clearInterval(this.#pingTimer);
    clearTimeout(this.#probing);
    this.#probing = undefined;
  }

  /** Drop a socket without waiting for a closing handshake, which a dead network never completes. @param {RacingSocket} socket */
  #drop(socket) {
    socket.close(4000, 'no answer');
    socket.dispatchEvent(new CloseEvent('close', { code: 4000 }));
  }

  /** @param {number} ms @param {{code: string, reason: string}} outcome */
  async #pause(ms, { code, reason }) {
    this.#emitState({ state: 'waiting', retryAt: performance.now() + ms, code, reason });
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve(undefined);
      };
    });
    this.#wake = null;
  }

  /** @param {string} code @param {string} reason */
  #end(code, reason) {
    this.#closed = true;
    this.#joined = false;
    globalThis.removeEventListener('online', this.#online);
    this.#stopPings();
    this.#wake?.();
    this.#socket?.close(1000);
    this.#socket = null;
    this.#first?.reject(new SignalingError(code, reason || 'Could not join the meeting.'));
    this.#first = null;
    this.#emitState({ state: 'closed', code, reason });
  }

  /** @param {SignalingState} state */
  #emitState(state) {
    this.emit('state', state);
  }
}

/** @param {unknown} data @returns {Message|null} */
function parse(data) {
  try {
    const message = JSON.parse(String(data));
    return typeof message?.kind === 'string' ? message : null;
  } catch {
    return null;
  }
}
