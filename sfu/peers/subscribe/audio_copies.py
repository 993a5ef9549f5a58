"""Copies of a subscriber's audio packets on a lossy link: which packets to send again, and when. See
machines/repair/audio_redundancy.
"""

from collections.abc import Iterable

from sfu.engine.contract import Engine, Outgoing
from sfu.machines.repair.audio_redundancy import AudioRedundancy
from sfu.peers.subscribe.bandwidth import Bandwidth
from sfu.peers.subscribe.downtrack import DownTrack

_STEP_NS = 20_000_000
_APART_NS = 10_000_000
_JUDGE_NS = 250_000_000
_MAX_COPIES = 8  # packets of a route in a step; more than this is a burst that makes up for a pause


class AudioCopies:
    """The copies for one subscribe peer; a packet is copied in the step after the one in which it was sent."""

    def __init__(self, peer: int, engine: Engine, now: int) -> None:
        self.copies = 0
        self._peer = peer
        self._engine = engine
        self._redundancy = AudioRedundancy()
        self._next = now
        self._judge_at = now
        self._marks: dict[int, tuple[int, int, int]] = {}  # by route: newest seq copied twice, once, and seen

    @property
    def times(self) -> int:
        """The number of times that each packet is sent."""
        return 1 + self._redundancy.is_on + self._redundancy.has_third

    def timer(self) -> int | None:
        """Return when `due` has work next; None if it suffices to call it with the link's checks."""
        return self._next if self._redundancy.is_on else None

    def due(self, downtracks: Iterable[DownTrack], bandwidth: Bandwidth, now: int) -> list[Outgoing]:
        """Return the copies to send now."""
        if now >= self._judge_at:
            self._judge_at = now + _JUDGE_NS
            self._judge(downtracks, bandwidth, now)
        if not self._redundancy.is_on or now < self._next:
            return []
        audio = _sounding(downtracks)
        self._next = now + (_STEP_NS if audio else _JUDGE_NS)
        return [datagram for entry in audio for datagram in self._copy(entry, now)]

    def _judge(self, downtracks: Iterable[DownTrack], bandwidth: Bandwidth, now: int) -> None:
        loss = bandwidth.state.loss
        if not loss and not self._redundancy.is_on:
            return
        needed = sum(entry.stream.bits_per_second for entry in _sounding(downtracks) if entry.stream is not None)
        if not self._redundancy.update(loss, needed / bandwidth.rate, now, is_full=not bandwidth.is_drained):
            self._marks.clear()

    def _copy(self, downtrack: DownTrack, now: int) -> list[Outgoing]:
        newest = self._engine.route_state(downtrack.route).last_seq
        twice, once, seen = self._marks.get(downtrack.route, (newest, newest, newest))
        self._marks[downtrack.route] = (once, seen, newest)
        since = twice if self._redundancy.has_third else once
        count = (seen - since) & 0xFFFF
        if not 0 < count <= 2 * _MAX_COPIES:
            return []
        self.copies += count
        seqs = [(since + number) & 0xFFFF for number in range(1, count + 1)]
        return self._engine.retransmit(self._peer, downtrack.ssrc, seqs, now, _APART_NS)


def _sounding(downtracks: Iterable[DownTrack]) -> list[DownTrack]:
    return [entry for entry in downtracks if entry.kind == "audio" and entry.stream is not None]
