"""Answers to a subscriber's NACKs: from the cache, within a budget, two or three times where they are lost too."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from sfu.machines.congestion.pacing import HEAVY_LOSS, LEFT_BY_COPIES
from sfu.peers.context import Context
from sfu.peers.subscribe.bandwidth import Bandwidth
from sfu.peers.subscribe.downtrack import DownTrack

_MIN_INTERVAL_NS = 10_000_000
_LOSSY = 0.01  # the share of lost packets from which a second copy is worth the round trip that it often saves
_APART_NS = 10_000_000  # a burst of loss would take both if they were closer together
_MAX_WAITING = 64  # bound on answers whose second copies are due soon


def retransmission_interval(round_trip: int) -> int:
    """Return the time for which a retransmitted packet is not sent once more; both are in ns."""
    return max(_MIN_INTERVAL_NS, round_trip * 3 // 4)


class _Copies(NamedTuple):
    """Copies of packets `seqs`, to be sent `times` times, first `at`."""

    at: int
    downtrack: DownTrack
    seqs: list[int]
    times: int


class NackResponder:
    """The answers to one subscribe peer's NACKs."""

    def __init__(self, peer: int, context: Context) -> None:
        self._peer = peer
        self._context = context
        self._copies: deque[_Copies] = deque(maxlen=_MAX_WAITING)

    def asked(
        self, downtrack: DownTrack, seqs: Sequence[int], bandwidth: Bandwidth | None, round_trip: int, now: int
    ) -> bool:
        """Answer a NACK, and soon again if the link has room but loses packets; `round_trip` is in ns.

        Return whether a packet is requested for the first time.
        """
        counters = self._context.counters
        downtrack.nacks += len(seqs)
        counters["nacks_received"] += len(seqs)
        granted = self._context.repair_budget.answers.grant(len(seqs), now)
        counters["retransmissions_over_budget"] += len(seqs) - granted
        seqs = seqs[:granted]
        useful = downtrack.still_useful(seqs)
        counters["retransmissions_outdated"] += len(seqs) - len(useful)
        if bandwidth is not None:
            admitted = bandwidth.admit_retransmissions(
                len(useful), downtrack.packet_size(), now, is_audio=downtrack.kind == "audio"
            )
            counters["retransmissions_over_budget"] += len(useful) - admitted
            useful = useful[:admitted]
        if bandwidth is not None:  # reports are rare, and the queue that they show may have drained
            round_trip = min(round_trip, bandwidth.round_trip)
        interval = retransmission_interval(round_trip)
        self._send(downtrack, useful, now, interval)
        first, again = downtrack.repeated_nacks.answer(useful, interval, now)
        if bandwidth is None or not bandwidth.is_drained:
            return bool(first)
        twice = useful if bandwidth.state.loss >= _LOSSY else again
        if twice:
            times = 2 if bandwidth.state.loss >= HEAVY_LOSS else 1
            self._copies.append(_Copies(now + _APART_NS, downtrack, twice, times))
            self._context.touched.add(self._peer)
        return bool(first)

    def timer(self) -> int | None:
        """Return when `handle_timer` has work next."""
        return self._copies[0].at if self._copies else None

    def handle_timer(self, bandwidth: Bandwidth, now: int) -> None:
        """Send the copies that are due."""
        while self._copies and self._copies[0].at <= now:
            _, downtrack, seqs, times = self._copies.popleft()
            if downtrack.in_table and bandwidth.is_drained and not self._waits(downtrack):
                useful = downtrack.still_useful(seqs)
                size, is_audio = downtrack.packet_size(), downtrack.kind == "audio"
                admitted = bandwidth.admit_retransmissions(
                    len(useful), size, now, is_audio=is_audio, leave=LEFT_BY_COPIES
                )
                useful = useful[:admitted]
                self._context.counters["retransmissions_doubled"] += len(useful)
                self._send(downtrack, useful, now, 0)
                if times > 1 and useful:
                    self._copies.append(_Copies(now + _APART_NS, downtrack, useful, times - 1))

    def _waits(self, downtrack: DownTrack) -> bool:
        """Return True if packets wait to be sent: there is no room for copies."""
        return self._context.engine.route_state(downtrack.route).waiting > 0

    def _send(self, downtrack: DownTrack, seqs: Sequence[int], now: int, interval: int) -> None:
        sent = self._context.engine.retransmit(self._peer, downtrack.ssrc, seqs, now, interval)
        self._context.outbox.send(sent)
