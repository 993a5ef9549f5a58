"""Copies of a subscriber's video packets on a link with high loss: sent in advance, within the budget of repairs.

If a fifth of the packets is lost, so are many retransmissions. Each round of requests takes 100 ms, and two of them are
a visible freeze. Frames of a low layer are single packets, and a receiver can miss several of them before the next one
shows the gap. A copy sent without a request avoids most of these rounds. Copies get what requested retransmissions
leave of the budget, and a keyframe's burst is not copied. While pictures wait to be sent, the link has no room for
copies.
"""

from collections.abc import Iterable

from sfu.engine.contract import Engine, Outgoing
from sfu.machines.congestion.pacing import HEAVY_LOSS, LEFT_BY_ADVANCE_COPIES
from sfu.peers.subscribe.bandwidth import Bandwidth
from sfu.peers.subscribe.downtrack import DownTrack

_STEP_NS = 20_000_000
_JUDGE_NS = 250_000_000
_OFF_LOSS = 0.08
_APART_NS = 10_000_000
_MAX_COPIES = 12  # packets of a route in a step


class PictureCopies:
    """The copies for one subscribe peer; a packet is copied in the step after the one in which it was sent."""

    def __init__(self, peer: int, engine: Engine, now: int) -> None:
        self.copies = 0
        self.is_on = False
        self._peer = peer
        self._engine = engine
        self._next = now
        self._judge_at = now
        self._marks: dict[int, int] = {}  # by route: newest seq sent in the step before

    def timer(self) -> int | None:
        """Return when `due` has work next; None if it suffices to call it with the link's checks."""
        return self._next if self.is_on else None

    def due(self, downtracks: Iterable[DownTrack], bandwidth: Bandwidth, now: int) -> list[Outgoing]:
        """Return the copies to send now."""
        if now >= self._judge_at:
            self._judge_at = now + _JUDGE_NS
            self.is_on = bandwidth.state.loss >= (_OFF_LOSS if self.is_on else HEAVY_LOSS)
        if not self.is_on:
            self._marks.clear()
            return []
        if now < self._next:
            return []
        self._next = now + _STEP_NS
        shown = [entry for entry in downtracks if entry.kind == "video" and entry.stream is not None]
        return [datagram for entry in shown for datagram in self._copy(entry, bandwidth, now)]

    def _copy(self, downtrack: DownTrack, bandwidth: Bandwidth, now: int) -> list[Outgoing]:
        state = self._engine.route_state(downtrack.route)
        newest = state.last_seq - state.waiting
        seen = self._marks.get(downtrack.route, newest)
        self._marks[downtrack.route] = newest
        count = (newest - seen) & 0xFFFF
        if not 0 < count <= _MAX_COPIES or state.waiting or not bandwidth.is_drained:
            return []
        seqs = downtrack.still_useful([(seen + number) & 0xFFFF for number in range(1, count + 1)])
        size = downtrack.packet_size()
        admitted = bandwidth.admit_retransmissions(len(seqs), size, now, leave=LEFT_BY_ADVANCE_COPIES)
        self.copies += admitted
        return self._engine.retransmit(self._peer, downtrack.ssrc, seqs[:admitted], now, _APART_NS)
