/**
 * A WebTransport session with a WebSocket's interface: `open`, `message` and `close` events, `send`, `close`.
 *
 * Messages are lines of one bidirectional stream; the close code and reason are those of the session.
 */

/** The node's WebTransport endpoint, from the response to a join.
 * @typedef {{host: string|null, port: number, certificate_hash: string|null}} WebTransportEndpoint */

export class WebTransportSocket extends EventTarget {
  /** @type {number} the states of a WebSocket */
  readyState = WebSocket.CONNECTING;
  #session;
  /** @type {WritableStreamDefaultWriter<Uint8Array>|null} */
  #writer = null;

  /** @param {WebTransportEndpoint} door */
  constructor({ host, port, certificate_hash: hash }) {
    super();
    const url = `https://${host ?? globalThis.location.hostname}:${port}/wt/signaling`;
    const value = hash && Uint8Array.from(atob(hash), (character) => character.charCodeAt(0));
    this.#session = new WebTransport(url, value ? { serverCertificateHashes: [{ algorithm: 'sha-256', value }] } : {});
    void this.#run();
  }

  /** @param {string} message */
  send(message) {
    // A write fails only because the session has ended, which `closed` reports.
    this.#writer?.write(new TextEncoder().encode(`${message}\n`)).catch(() => {});
  }

  close(code = 1000, reason = '') {
    if (this.readyState >= WebSocket.CLOSING) return;
    const opened = this.readyState === WebSocket.OPEN;
    this.readyState = WebSocket.CLOSING;
    if (opened) void this.#sayGoodbye(code, reason);
    else this.#over(code, reason);
  }

  /** Flush sent messages, then close the session. @param {number} code @param {string} reason */
  async #sayGoodbye(code, reason) {
    await this.#writer?.close().catch(() => {});
    this.#over(code, reason);
  }

  async #run() {
    const reading = this.#open();
    const { closeCode = 1006, reason = '' } = await this.#session.closed.catch(() => /** @type {WebTransportCloseInfo} */ ({}));
    await reading; // earlier messages are delivered first
    this.#over(closeCode, reason);
  }

  async #open() {
    try {
      await this.#session.ready;
      const { readable, writable } = await this.#session.createBidirectionalStream();
      if (this.readyState !== WebSocket.CONNECTING) return;
      this.#writer = writable.getWriter();
      this.readyState = WebSocket.OPEN;
      this.dispatchEvent(new Event('open'));
      await this.#read(readable);
    } catch {
      // `closed` reports the end, unless only the stream has ended.
    }
  }

  /** @param {ReadableStream<Uint8Array<ArrayBuffer>>} readable */
  async #read(readable) {
    const reader = readable.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split('\n');
      rest = lines.pop() ?? '';
      for (const data of lines) if (data) this.dispatchEvent(new MessageEvent('message', { data }));
    }
  }

  /** @param {number} code @param {string} reason */
  #over(code, reason) {
    if (this.readyState === WebSocket.CLOSED) return;
    this.readyState = WebSocket.CLOSED;
    try {
      this.#session.close({ closeCode: code, reason });
    } catch {
      // It was already closed.
    }
    this.dispatchEvent(new CloseEvent('close', { code, reason }));
  }
}
