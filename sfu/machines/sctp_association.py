"""An SCTP association over DTLS (RFC 8831, RFC 8261) without I/O: aiortc's, with our own transport and clock.

aiortc's implementation uses asyncio for timers and tasks, and `time` for the time. This file loads its module a second
time, with stand-ins under both names: tasks run to completion before a call returns, and timers wait for
`handle_timer`. The copy that aiortc's own users get is not touched.

Everything that a remote party can grow is bounded here, before the library sees a packet: streams, waiting fragments,
gaps in acknowledgements. Only a window of outgoing data is given to the library. Unlike in RFC 9260, section 16, the
retransmission timer begins at a second and goes down to 400 ms, as in Chromium.
"""

import importlib.util
import struct
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from sfu.formats import sctp

PORT = 5000
MAX_STREAMS = 16
WINDOW_CHUNKS = 256
RECEIVE_WINDOW_BYTES = 256 * 1024

_MAX_WAITING_CHUNKS = 1024
_MAX_WAITING_BYTES = 2 * RECEIVE_WINDOW_BYTES
_MAX_USER_BYTES = 1128  # with SCTP and DTLS headers, datagrams stay below 1200 bytes
_RTO_INITIAL, _RTO_MIN = 1.0, 0.4
_SERIAL = 1 << 32
_BROKEN = (AssertionError, AttributeError, LookupError, TypeError, ValueError, struct.error)
"""The exceptions that aiortc raises if a packet violates its assumptions."""


class SctpMessage(NamedTuple):
    """A complete message of a stream. `protocol` is the payload protocol identifier (RFC 8831, section 8)."""

    stream: int
    protocol: int
    data: bytes


class _Timer:
    """A stand-in that the library takes for an asyncio.TimerHandle."""

    def __init__(self, timers: "list[_Timer]", at: int, callback: Callable[[], None]) -> None:
        self.at = at
        self.callback = callback
        self._timers = timers
        timers.append(self)

    def cancel(self) -> None:
        if self in self._timers:
            self._timers.remove(self)


class _Loop:
    """A stand-in for one association's event loop."""

    def __init__(self) -> None:
        self.timers: list[_Timer] = []

    def call_later(self, delay: float, callback: Callable[[], None]) -> _Timer:
        return _Timer(self.timers, _clock.now + int(delay * 1e9), callback)


class _Asyncio:
    """A stand-in for asyncio: tasks wait in `tasks` until the end of the call that started them."""

    def __init__(self) -> None:
        self.tasks: deque[Coroutine[Any, Any, None]] = deque()

    def get_event_loop(self) -> _Loop:
        return _Loop()

    def ensure_future(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(work)


class _Clock:
    """A stand-in for `time`: returns the `now` of the current call."""

    now = 0

    def time(self) -> float:
        return self.now / 1e9


_clock = _Clock()
_asyncio = _Asyncio()


def _load() -> Any:
    found = importlib.util.find_spec("aiortc.rtcsctptransport")
    if found is None or found.loader is None:
        raise ImportError("aiortc has no rtcsctptransport")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    replaced = {"time": _clock, "asyncio": _asyncio, "USERDATA_MAX_LENGTH": _MAX_USER_BYTES}
    vars(module).update(replaced | {"SCTP_RTO_INITIAL": _RTO_INITIAL, "SCTP_RTO_MIN": _RTO_MIN})
    return module


_library = _load()


class _Transport:
    """A stand-in that the library takes for a DTLS transport."""

    state = "connected"
    _role = "client"

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def _register_data_receiver(self, _: object) -> None:
        """Do nothing, since `SctpAssociation.receive` hands over packets."""

    async def _send_data(self, packet: bytes) -> None:
        self.packets.append(packet)


class _Pending(NamedTuple):
    message: SctpMessage
    size: int
    ordered: bool
    max_retransmits: int | None


class SctpAssociation:
    """One association. Both sides `start`, regardless of their DTLS roles (RFC 8841, section 9.3)."""

    def __init__(self) -> None:
        self.close_reason = ""
        """The reason why the association is closed, aborted or protocol_error; "" while it is open."""
        self.buffered = 0
        """Bytes accepted by `send` that are neither acknowledged nor abandoned."""
        self._transport = _Transport()
        self._library = _library.RTCSctpTransport(self._transport, PORT)
        self._library._advertised_rwnd = RECEIVE_WINDOW_BYTES
        self._library._inbound_streams_max = self._library._outbound_streams_count = MAX_STREAMS
        self._library._receive = self._received
        self._library._data_channel_flush = self._flush
        self._library._data_channel_closed = lambda _: None
        self._timers: list[_Timer] = self._library._loop.timers
        self._messages: list[SctpMessage] = []
        self._resets: list[int] = []
        self._reset_by_us: set[int] = set()
        self._pending: dict[int, deque[_Pending]] = {}
        self._outstanding: deque[tuple[int, int]] = deque()

    @property
    def established(self) -> bool:
        return not self.close_reason and self._library._association_state == self._library.State.ESTABLISHED

    def start(self, now: int) -> None:
        """Begin; once."""
        self._do(self._library.start(None, PORT), now)

    def receive(self, packet: bytes, now: int) -> None:
        """Take a packet, the content of one DTLS record. An invalid one closes the association."""
        if self.close_reason:
            return
        try:
            chunks = sctp.parse(packet)
            self._check(chunks)
        except ValueError:
            self._close("protocol_error")
            return
        self._do(self._library._handle_data(packet), now)
        for chunk in chunks:
            if chunk.kind == sctp.RECONFIG:
                self._follow_resets(sctp.streams(chunk), now)

    def send(
        self,
        message: SctpMessage,
        now: int,
        *,
        ordered: bool = True,
        max_retransmits: int | None = None,
        size: int | None = None,
    ) -> None:
        """Send a message, or keep it until there is room; streams take turns.

        The caller bounds `buffered`, which grows by `size` bytes, by default the message's length.
        """
        if self.close_reason:
            return
        entry = _Pending(message, len(message.data) if size is None else size, ordered, max_retransmits)
        self.buffered += entry.size
        self._pending.setdefault(message.stream, deque()).append(entry)
        if self.established:
            self._do(self._flush(), now)

    def reset(self, stream: int, now: int) -> None:
        """Close our direction of a stream (RFC 6525) and drop its waiting messages."""
        for entry in self._pending.pop(stream, ()):
            self.buffered -= entry.size
        if self.close_reason or stream in self._reset_by_us:
            return
        self._reset_by_us.add(stream)
        self._library._reconfig_queue.append(stream)
        self._do(self._library._transmit_reconfig(), now)

    def packets_to_send(self) -> list[bytes]:
        """Return the packets to send now, each as one DTLS record."""
        packets, self._transport.packets = self._transport.packets, []
        return packets

    def messages(self) -> list[SctpMessage]:
        """Return the messages that arrived since the last call."""
        messages, self._messages = self._messages, []
        return messages

    def withhold(self, size: int) -> None:
        """Advertise a receive window reduced by the bytes that the caller holds."""
        self._library._advertised_rwnd -= size

    def give_back(self, size: int, now: int) -> None:
        """Undo `withhold`, and acknowledge it, since the far end may be waiting."""
        self._library._advertised_rwnd += size
        if size and self.established and self._library._last_received_tsn is not None:
            self._do(self._library._send_sack(), now)

    def resets(self) -> list[int]:
        """Return the streams that the remote side closed since the last call; our direction is then closed too."""
        resets, self._resets = self._resets, []
        return resets

    def timer(self) -> int | None:
        """Return when `handle_timer` has work next, in ns."""
        return min((timer.at for timer in self._timers), default=None)

    def handle_timer(self, now: int) -> None:
        """Let due timers expire."""
        for timer in [entry for entry in self._timers if entry.at <= now]:
            if timer in self._timers:
                timer.cancel()
                _clock.now = now
                timer.callback()
        self._settle(now)

    def _check(self, chunks: list[sctp.Chunk]) -> None:
        """Raise ValueError for well-formed packets that would make the library store or do too much."""
        library = self._library
        for chunk in chunks:
            if any(stream >= MAX_STREAMS for stream in sctp.streams(chunk)):
                raise ValueError("a stream beyond the agreed ones")
            if chunk.kind == sctp.DATA and library._last_received_tsn is not None:
                ahead = (sctp.tsn(chunk) - library._last_received_tsn) % _SERIAL
                if _MAX_WAITING_CHUNKS < ahead < _SERIAL // 2:
                    raise ValueError("a TSN beyond the window")
            if chunk.kind == sctp.SACK and sctp.highest_gap(chunk) > 2 * WINDOW_CHUNKS:
                raise ValueError("an acknowledgement of data that was not sent")
        waiting = [chunk for stream in library._inbound_streams.values() for chunk in stream.reassembly]
        if len(waiting) > _MAX_WAITING_CHUNKS or sum(len(chunk.user_data) for chunk in waiting) > _MAX_WAITING_BYTES:
            raise ValueError("more fragments than the window allows")

    def _follow_resets(self, streams: list[int], now: int) -> None:
        """Close our direction of streams that the remote closed (RFC 8831, section 6.7)."""
        for stream in streams:
            if stream not in self._resets:
                self._resets.append(stream)
            self.reset(stream, now)

    async def _received(self, stream: int, protocol: int, data: bytes) -> None:
        self._messages.append(SctpMessage(stream, protocol, data))

    async def _flush(self) -> None:
        """Give the library as much as fits its window, one message from each stream in turn."""
        library = self._library
        while self._pending and not library._outbound_queue and len(library._sent_queue) < WINDOW_CHUNKS:
            stream = next(iter(self._pending))
            waiting = self._pending.pop(stream)
            message, size, ordered, retransmits = waiting.popleft()
            if waiting:
                self._pending[stream] = waiting  # now behind the others
            await library._send(stream, message.protocol, message.data, None, retransmits, ordered)
            self._outstanding.append(((library._local_tsn - 1) % _SERIAL, size))

    def _do(self, work: Coroutine[Any, Any, None], now: int) -> None:
        """Run the library's coroutine and the tasks that it starts; everything that it awaits completes at once."""
        _clock.now = now
        _asyncio.tasks.append(work)
        self._settle(now)

    def _settle(self, now: int) -> None:
        """Run the started tasks, and note their results."""
        library = self._library
        while _asyncio.tasks:
            task = _asyncio.tasks.popleft()
            try:
                task.send(None)
            except StopIteration:
                continue
            except _BROKEN:
                self._close("protocol_error")
        library._cwnd = min(library._cwnd, WINDOW_CHUNKS * _MAX_USER_BYTES)
        while self._outstanding and _reached(library._advanced_peer_ack_tsn, self._outstanding[0][0]):
            self.buffered -= self._outstanding.popleft()[1]
        if library.state == "closed":
            self._close("aborted")

    def _close(self, reason: str) -> None:
        self.close_reason = self.close_reason or reason
        self._timers.clear()
        self._pending.clear()
        self._outstanding.clear()
        self.buffered = 0


def _reached(acknowledged: int, tsn: int) -> bool:
    return (acknowledged - tsn) % _SERIAL < _SERIAL // 2
