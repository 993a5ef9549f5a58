"""The receiving side of an SRT connection in live mode. Without I/O: packets, and a time in µs, go in and come out.

Content is passed on in order. A lost packet is requested again until the latency has passed, and then skipped.
"""

import struct

from sfu.formats import srt
from sfu.formats.srt import SEQUENCES, Control

_ACK_US = 10_000
_KEEP_US = 1_000_000
_MAX_AHEAD = 8192
"""The packets that may arrive before a missing one: as many as the window allows."""
_MIN_NAK_US = 20_000
_RTT_US = 100_000
MIN_LATENCY_MS, MAX_LATENCY_MS = 120, 3000


class Receiver:
    """A connection after its handshake. `theirs` is the peer's socket id, `first` its first sequence number."""

    def __init__(self, theirs: int, first: int, latency_ms: int, now: int) -> None:
        self.latency_ms = min(max(latency_ms, MIN_LATENCY_MS), MAX_LATENCY_MS)
        self.is_over = False
        self.skipped = 0
        self._theirs = theirs
        self._begun = now
        self._next = first
        self._newest = first - 1
        self._waiting: dict[int, bytes] = {}
        self._missing: dict[int, tuple[int, int]] = {}
        """By sequence number: when its loss was noticed, and when it was reported last."""
        self._acknowledged = first
        self._acked_at = self._sent_at = now
        self._number = 0
        self._pending: dict[int, int] = {}
        self._rtt, self._variance = _RTT_US, _RTT_US // 2
        self._output: list[bytes] = []

    def receive(self, data: bytes, now: int) -> list[bytes]:
        """Take a packet; return the content that can be passed on."""
        header = srt.read_header(data)
        if header is None or self.is_over:
            return []
        if header.sequence is not None:
            if header.info >> 27 & 3 == 0:  # what is encrypted cannot be read
                self._take(header.sequence, data[srt.HEADER_BYTES :], now)
        elif header.kind == Control.SHUTDOWN:
            self.is_over = True
        elif header.kind == Control.ACKACK:
            self._measure(header.info, now)
        elif header.kind == Control.DROP and len(data) >= srt.HEADER_BYTES + 8:
            first, last = struct.unpack_from("!II", data, srt.HEADER_BYTES)
            first, last = (self._near(one % SEQUENCES) for one in (first, last))
            for sequence in [one for one in self._missing if first <= one <= last]:
                self._missing[sequence] = (0, self._missing[sequence][1])
        return self._deliver(now)

    def tick(self, now: int) -> list[bytes]:
        """Do what time requires; return the content that no longer waits for lost packets. Call it every 10 ms."""
        content = self._deliver(now)
        if now - self._acked_at >= _ACK_US and self._next != self._acknowledged:
            self._acknowledge(now)
        due = max(_MIN_NAK_US, self._rtt + 4 * self._variance) // 2
        late = [sequence for sequence, (_, told) in self._missing.items() if now - told >= due]
        self._report(late, now)
        if now - self._sent_at >= _KEEP_US:
            self._send(Control.KEEPALIVE, 0, now)
        return content

    def close(self, now: int) -> None:
        """End the connection."""
        self.is_over = True
        self._send(Control.SHUTDOWN, 0, now)

    def output(self) -> list[bytes]:
        """Return the packets to send, once."""
        made, self._output = self._output, []
        return made

    def _take(self, wire: int, content: bytes, now: int) -> None:
        sequence = self._near(wire)
        if sequence < self._next or sequence in self._waiting or sequence - self._next > _MAX_AHEAD:
            return
        self._waiting[sequence] = content
        self._missing.pop(sequence, None)
        lost = [*range(self._newest + 1, sequence)]
        self._newest = max(self._newest, sequence)
        for one in lost:
            self._missing[one] = (now, now)
        self._report(lost, now)

    def _deliver(self, now: int) -> list[bytes]:
        content = []
        while self._waiting or self._missing:
            if self._next in self._waiting:
                content.append(self._waiting.pop(self._next))
            elif self._next in self._missing and now - self._missing[self._next][0] >= self.latency_ms * 1000:
                del self._missing[self._next]
                self.skipped += 1
            else:
                break
            self._next += 1
        return content

    def _acknowledge(self, now: int) -> None:
        self._number += 1
        self._pending[self._number] = now
        self._pending.pop(self._number - 64, None)
        free = max(2, _MAX_AHEAD - len(self._waiting))
        fields = (self._next % SEQUENCES, self._rtt, self._variance, free, 0, 0, 0)
        self._send(Control.ACK, self._number, now, struct.pack("!7I", *fields))
        self._acknowledged, self._acked_at = self._next, now

    def _report(self, lost: list[int], now: int) -> None:
        if lost:
            self._send(Control.NAK, 0, now, srt.losses([one % SEQUENCES for one in sorted(lost)]))
            for one in lost:
                self._missing[one] = (self._missing[one][0], now)

    def _measure(self, number: int, now: int) -> None:
        sent = self._pending.pop(number, None)
        if sent is not None:
            rtt = min(now - sent, 10_000_000)
            self._variance = (3 * self._variance + abs(rtt - self._rtt)) // 4
            self._rtt = (7 * self._rtt + rtt) // 8

    def _near(self, wire: int) -> int:
        """Return the sequence number that is nearest to the expected one, without taking note of it."""
        difference = (wire - self._next + SEQUENCES // 2) % SEQUENCES - SEQUENCES // 2
        return self._next + difference

    def _send(self, kind: Control, info: int, now: int, content: bytes = b"") -> None:
        self._output.append(srt.control(kind, info, now - self._begun, self._theirs, content))
        self._sent_at = now
