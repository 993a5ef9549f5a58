/**
 * Opens a WebSocket and, if server and browser support it, a WebTransport session in parallel; uses the first to open.
 * WebTransport saves at least a round trip; WebSocket works where UDP is blocked.
 */
import { WebTransportSocket } from './webtransport-socket.js';

const REOPEN_MS = 1_000;

/** A WebTransport session opened in advance, so that a join need not wait for it. */
export class EarlySocket {
  /** @param {import('./webtransport-socket.js').WebTransportEndpoint|null} door @returns {EarlySocket|null} */
  static open(door) {
    if (!door || !globalThis.WebTransport) return null;
    try {
      return new EarlySocket(door);
    } catch {
      return null; // the browser does not accept such a certificate, or WebTransport from this page
    }
  }

  #door;
  /** @type {WebTransportSocket|null} */
  #socket = null;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #again;

  /** @param {import('./webtransport-socket.js').WebTransportEndpoint} door */
  constructor(door) {
    this.#door = door;
    this.#open();
  }

  /**
   * Hand over the socket if it is alive and connected to `door`; otherwise close it and return null. Call this once.
   * @param {import('./webtransport-socket.js').WebTransportEndpoint|null} [door]
   */
  take(door) {
    const socket = this.#socket;
    this.#socket = null;
    clearTimeout(this.#again);
    if (JSON.stringify(door) === JSON.stringify(this.#door) && socket && socket.readyState <= WebSocket.OPEN) return socket;
    socket?.close();
    return null;
  }

  close() {
    this.take(null);
  }

  #open() {
    const socket = new WebTransportSocket(this.#door);
    let opened = false;
    this.#socket = socket;
    socket.addEventListener('open', () => (opened = true));
    socket.addEventListener('close', () => {
      // If it never opened, it will not open next time either.
      if (socket === this.#socket && opened) this.#again = setTimeout(() => this.#open(), REOPEN_MS);
    });
  }
}

/** The part of WebSocket's interface that signaling needs. `kind` names the transport; '' before one is open. */
export class RacingSocket extends EventTarget {
  kind = '';
  /** @type {Map<string, WebSocket|WebTransportSocket>} */
  #runners = new Map();
  /** @type {WebSocket|WebTransportSocket|null} */
  #winner = null;
  #closed = false;

  /**
   * @param {URL} url of the WebSocket
   * @param {import('./webtransport-socket.js').WebTransportEndpoint|null} [door]
   * @param {EarlySocket|null} [early]
   */
  constructor(url, door, early) {
    super();
    const begun = early?.take(door);
    if (begun) this.#enter('webtransport', () => begun);
    else if (door && globalThis.WebTransport) this.#enter('webtransport', () => new WebTransportSocket(door));
    if (begun?.readyState === WebSocket.OPEN) queueMicrotask(() => this.#opened('webtransport', begun));
    else this.#enter('websocket', () => new WebSocket(url));
  }

  get readyState() {
    if (this.#closed) return WebSocket.CLOSED;
    return this.#winner?.readyState ?? WebSocket.CONNECTING;
  }

  /** @param {string} message */
  send(message) {
    this.#winner?.send(message);
  }

  close(code = 1000, reason = '') {
    if (this.#winner) {
      this.#winner.close(code, reason);
      return;
    }
    for (const runner of this.#runners.values()) runner.close();
  }

  /** @param {string} kind @param {() => WebSocket|WebTransportSocket} make */
  #enter(kind, make) {
    /** @type {EventTarget & (WebSocket|WebTransportSocket)} */
    let runner;
    try {
      runner = make();
    } catch (error) {
      if (kind === 'websocket') throw error;
      return; // the browser does not accept such a certificate, or WebTransport from this page
    }
    this.#runners.set(kind, runner);
    runner.addEventListener('open', () => this.#opened(kind, runner));
    runner.addEventListener('message', (/** @type {any} a MessageEvent */ { data }) => {
      if (runner === this.#winner) this.dispatchEvent(new MessageEvent('message', { data }));
    });
    runner.addEventListener('close', (/** @type {any} a CloseEvent */ { code, reason }) => this.#ended(kind, runner, code, reason));
  }

  /** @param {string} kind @param {WebSocket|WebTransportSocket} runner */
  #opened(kind, runner) {
    if (this.#winner) return;
    this.#winner = runner;
    this.kind = kind;
    for (const other of this.#runners.values()) if (other !== runner) other.close();
    this.dispatchEvent(new Event('open'));
  }

  /** @param {string} kind @param {WebSocket|WebTransportSocket} runner @param {number} code @param {string} reason */
  #ended(kind, runner, code, reason) {
    this.#runners.delete(kind);
    const isLast = this.#winner ? this.#winner === runner : this.#runners.size === 0;
    if (!isLast || this.#closed) return;
    this.#closed = true;
    this.dispatchEvent(new CloseEvent('close', { code, reason }));
  }
}
