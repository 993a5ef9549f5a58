"""Two signaling transports, tried at once: the first to open is used, and a failed one costs nothing."""

from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="module")

STAGE = """
async () => {
  const {EarlySocket, RacingSocket} = await import('/sdk/racing-socket.js');
  class FakeSocket extends EventTarget {
    static CONNECTING = 0; static OPEN = 1; static CLOSING = 2; static CLOSED = 3;
    readyState = 0; sent = [];
    constructor() { super(); window.ws = this; }
    open() { this.readyState = 1; this.dispatchEvent(new Event('open')); }
    say(data) { this.dispatchEvent(new MessageEvent('message', {data})); }
    send(data) { this.sent.push(data); }
    close(code = 1000) { this.end(code); }
    end(code) {
      if (this.readyState === 3) return;
      this.readyState = 3;
      this.dispatchEvent(new CloseEvent('close', {code}));
    }
  }
  class FakeSession {
    constructor(url, options) {
      window.wt = this;
      Object.assign(this, {url, options, sent: [], closedWith: null});
      this.ready = new Promise((resolve, reject) => { this.open = resolve; this.fail = reject; });
      this.closed = new Promise((resolve, reject) => { this.finish = resolve; this.broken = reject; });
      this.ready.catch(() => this.broken(new Error('no QUIC')));
    }
    async createBidirectionalStream() {
      const session = this;
      const decoder = new TextDecoder();
      const readable = new ReadableStream({start: (c) => { session.incoming = c; }});
      const writable = new WritableStream({write: (chunk) => { session.sent.push(decoder.decode(chunk)); }});
      return {readable, writable};
    }
    say(text) { this.incoming.enqueue(new TextEncoder().encode(text)); }
    close(info) { this.closedWith ??= info; this.finish(info); }
  }
  globalThis.WebSocket = FakeSocket;
  globalThis.WebTransport = FakeSession;
  const node = {host: 'node.test', port: 8820, certificate_hash: btoa('abc')};
  window.begin = () => (window.early = EarlySocket.open(node));
  window.race = (door = node, early = null) => {
    window.log = [];
    window.ws = null;
    window.socket = new RacingSocket('wss://x', door && {...door}, early);
    for (const type of ['open', 'message', 'close']) {
      socket.addEventListener(type, (event) => log.push([type, event.data ?? event.code ?? null]));
    }
  };
  window.soon = () => new Promise((resolve) => setTimeout(resolve, 20));
}
"""


@pytest_asyncio.fixture(loop_scope="module")
async def stage(page: Page) -> Page:
    await page.evaluate(STAGE)
    return page


async def played(page: Page, script: str) -> Any:
    return await page.evaluate(
        f"async () => {{ {script}; await soon(); return [log, socket.kind, socket.readyState]; }}"
    )


async def test_webtransport_wins(stage: Page) -> None:
    said = """
      race(); wt.open(); await soon(); wt.say('{"a":1}\\n{"b"'); await soon(); wt.say(':2}\\n'); socket.send('x')
    """
    log, kind, state = await played(stage, said)
    assert (log, kind, state) == ([["open", None], ["message", '{"a":1}'], ["message", '{"b":2}']], "webtransport", 1)
    assert await stage.evaluate("[wt.sent, ws.readyState, wt.url]") == [
        ["x\n"],
        3,
        "https://node.test:8820/wt/signaling",
    ]
    assert await stage.evaluate("new TextDecoder().decode(wt.options.serverCertificateHashes[0].value)") == "abc"
    log, _, state = await played(stage, "wt.incoming.close(); wt.finish({closeCode: 4001, reason: 'removed'})")
    assert (log[3:], state) == ([["close", 4001]], 3)


async def test_websocket_wins_where_quic_does_not_pass(stage: Page) -> None:
    log, kind, state = await played(
        stage, "race(); ws.open(); await soon(); ws.say('hi'); wt.fail(new Error('blocked'))"
    )
    assert (log, kind, state) == ([["open", None], ["message", "hi"]], "websocket", 1)
    log, _, state = await played(stage, "ws.end(1012)")
    assert (log[2:], state) == ([["close", 1012]], 3)


async def test_one_that_fails_leaves_the_other_time(stage: Page) -> None:
    log, _, state = await played(stage, "race(); ws.end(1006)")
    assert (log, state) == ([], 0)
    log, kind, _ = await played(stage, "wt.open()")
    assert (log, kind) == ([["open", None]], "webtransport")


async def test_when_both_fail_it_is_closed_once(stage: Page) -> None:
    log, kind, state = await played(stage, "race(); wt.fail(new Error('blocked')); await soon(); ws.end(1006)")
    assert (log, kind, state) == ([["close", 1006]], "", 3)


async def test_who_gives_up_before_either_opens_closes_both(stage: Page) -> None:
    log, _, state = await played(stage, "race(); socket.close()")
    assert (len(log), state) == (1, 3)
    assert await stage.evaluate("[ws.readyState, wt.closedWith !== null]") == [3, True]


async def test_without_a_door_it_is_a_websocket(stage: Page) -> None:
    log, kind, _ = await played(stage, "window.wt = null; race(null); ws.open()")
    assert (log, kind) == ([["open", None]], "websocket")
    assert await stage.evaluate("wt") is None


async def test_what_was_opened_early_is_used_at_once(stage: Page) -> None:
    said = "begin(); wt.open(); await soon(); race(undefined, early); await soon(); socket.send('x')"
    log, kind, state = await played(stage, said)
    assert (log, kind, state) == ([["open", None]], "webtransport", 1)
    assert await stage.evaluate("[wt.sent, ws]") == [["x\n"], None]


async def test_what_was_begun_early_races_on(stage: Page) -> None:
    log, kind, _ = await played(stage, "begin(); race(undefined, early); ws.open()")
    assert (log, kind) == ([["open", None]], "websocket")
    assert await stage.evaluate("wt.closedWith !== null")


async def test_what_leads_elsewhere_or_has_ended_is_not_used(stage: Page) -> None:
    said = "begin(); wt.open(); await soon(); window.first = wt; race({host: 'other.test', port: 1}, early); ws.open()"
    log, kind, _ = await played(stage, said)
    assert (log, kind) == ([["open", None]], "websocket")
    assert await stage.evaluate("[first.closedWith !== null, wt !== first]") == [True, True]
    log, kind, _ = await played(
        stage, "begin(); wt.fail(new Error('blocked')); await soon(); race(undefined, early); ws.open()"
    )
    assert (log, kind) == ([["open", None]], "websocket")


async def test_what_was_opened_early_is_kept_open(stage: Page) -> None:
    await stage.evaluate(
        "async () => { begin(); wt.open(); await soon(); window.first = wt; first.incoming.error('over'); }"
    )
    await stage.evaluate("first.finish({})")
    await stage.wait_for_function("() => wt !== first")
    await stage.evaluate("async () => { await soon(); early.close(); await soon(); }")
    assert await stage.evaluate("wt.closedWith !== null")
