"""Packets sent to a peer, matched with its feedback: transport-wide (draft-holmer-rmcat-transport-wide-cc-extensions)
or per stream (RFC 8888).

Bounded by packets and by age; the bound is far below half of 2**16, so that a 16-bit seq always names one packet.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple

from sfu.formats.congestion_feedback import CongestionFeedback
from sfu.formats.transport_feedback import REFERENCE_NS, TransportFeedback
from sfu.formats.unwrap import Unwrapper

MAX_PACKETS = 8192
MAX_AGE = 10_000_000_000
_SECOND = 1_000_000_000


class SentKind(IntEnum):
    """The kind of a sent packet. Copies of audio have the number of the original, so only the loss of all is seen."""

    AUDIO = 0
    VIDEO = 1
    RTX = 2
    PADDING = 3
    COPIED_AUDIO = 4


class SentPacket(NamedTuple):
    """A sent packet: 16-bit transport-wide seq (-1 without), RTP identity, bytes on the wire, time."""

    transport_seq: int
    ssrc: int
    seq: int
    size: int
    at: int
    kind: int


class PacketResult(NamedTuple):
    """The fate of a sent packet. `arrival` is on the receiver's clock, whose zero is arbitrary; None if lost.

    A packet reported lost may be reported again with its arrival; `was_lost` says so. `cluster` is the probe that it
    was part of, or -1.
    """

    sent: int
    arrival: int | None
    size: int
    kind: int
    cluster: int = -1
    was_lost: bool = False


class FeedbackReport(NamedTuple):
    """The matched feedback: `results` in order of sending. `round_trip` is that of the newest packet that arrived, None
    without any.
    """

    results: tuple[PacketResult, ...]
    round_trip: int | None


class _Entry:
    __slots__ = ("cluster", "lost", "packet")

    def __init__(self, packet: SentPacket) -> None:
        self.packet = packet
        self.cluster = -1
        self.lost = False


class SendHistory:
    """The history, fed with every sent packet (`sent`) and every feedback message; each arrival is reported once.

    It keeps the newest `MAX_PACKETS` numbers, and of those the packets sent within `MAX_AGE` before the newest.
    """

    def __init__(self) -> None:
        self._unwrapper = Unwrapper(16)
        self._references = Unwrapper(24)
        self._reports = Unwrapper(32)
        self._entries: dict[int, _Entry] = {}  # by unwrapped transport-wide seq, or by order of sending
        self._unnumbered = 0
        self._is_numbered = False
        self._unclaimed: deque[_Entry] = deque(maxlen=MAX_PACKETS)

    def __len__(self) -> int:
        return len(self._entries)

    def sent(self, packet: SentPacket) -> None:
        """Remember a packet; in order of sending. When numbering begins or ends, earlier packets are forgotten."""
        if (packet.transport_seq >= 0) != self._is_numbered:
            self._is_numbered = not self._is_numbered
            self._entries.clear()
            self._unclaimed.clear()
        if packet.transport_seq >= 0:
            key = self._unwrapper.unwrap(packet.transport_seq)
        else:
            key = self._unnumbered
            self._unnumbered += 1
        self._entries.pop(key, None)
        entry = self._entries[key] = _Entry(packet)
        self._unclaimed.append(entry)
        while True:
            oldest, entry = next(iter(self._entries.items()))
            if key - oldest < MAX_PACKETS and packet.at - entry.packet.at <= MAX_AGE:
                return
            del self._entries[oldest]

    def mark(self, cluster: int) -> None:
        """Assign the packets sent since the last call to this probe, or to none (-1)."""
        if cluster >= 0:
            for entry in self._unclaimed:
                entry.cluster = cluster
        self._unclaimed.clear()

    def feedback(self, message: TransportFeedback, now: int) -> FeedbackReport:
        """Match a transport-wide message that arrived at `now`; unknown packets and repeated results are skipped."""
        newest = self._unwrapper.newest
        if newest is None:
            return FeedbackReport((), None)
        wrapped = self._references.unwrap(message.reference_time % (1 << 24)) * REFERENCE_NS
        correction = wrapped - message.reference_time * REFERENCE_NS
        told = []
        for seq, arrival in message.arrivals():
            behind = (newest - seq) & 0xFFFF
            told.append((newest - behind, None if arrival is None else arrival + correction))
        return self._report(told, now)

    def congestion_feedback(self, message: CongestionFeedback, now: int) -> FeedbackReport:
        """Match an RFC 8888 message that arrived at `now`."""
        made = self._reports.unwrap(message.timestamp) * _SECOND // 65536
        told: list[tuple[int, int | None]] = []
        by_stream = {(entry.packet.ssrc, entry.packet.seq): key for key, entry in self._entries.items()}
        for stream in message.streams:
            for index, packet in enumerate(stream.packets):
                key = by_stream.get((stream.ssrc, (stream.base_seq + index) & 0xFFFF))
                if key is None:
                    continue
                if packet is None:
                    told.append((key, None))
                elif packet.offset is not None:
                    told.append((key, made - packet.offset * _SECOND // 1024))
        told.sort(key=lambda pair: pair[0])
        return self._report(told, now)

    def _report(self, told: Iterable[tuple[int, int | None]], now: int) -> FeedbackReport:
        results: list[PacketResult] = []
        round_trip = None
        for key, arrival in told:
            entry = self._entries.get(key)
            if entry is None or (arrival is None and entry.lost):
                continue
            packet = entry.packet
            results.append(PacketResult(packet.at, arrival, packet.size, packet.kind, entry.cluster, entry.lost))
            if arrival is None:
                entry.lost = True
            else:
                del self._entries[key]
                round_trip = now - packet.at
        return FeedbackReport(tuple(results), round_trip)


def received_in_order(results: Sequence[PacketResult]) -> list[tuple[PacketResult, int]]:
    """Return the results of arrived packets, with their times, in order of arrival."""
    arrived = [(result, result.arrival) for result in results if result.arrival is not None]
    arrived.sort(key=lambda pair: pair[1])
    return arrived
