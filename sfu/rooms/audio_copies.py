"""Second copies of a subscriber's sound on a lossy link: when, and of which packets. See machines/audio_redundancy."""

from collections.abc import Iterable

from sfu.engine.contract import Engine, Outgoing
from sfu.machines.audio_redundancy import AudioRedundancy
from sfu.rooms.bandwidth import Bandwidth
from sfu.rooms.downtrack import DownTrack

_STEP_NS = 20_000_000
_JUDGE_NS = 250_000_000
_LATEST_NS = 1_500_000_000  # where nothing else wakes the subscriber, it is seen this late that copies are needed
_SILENT_NS = 5_000_000_000  # the same where there is no sound
_MAX_COPIES = 8  # packets of a route in a step; more are a burst that makes up for a pause


class AudioCopies:
    """One per egress; a packet is copied in the step after the one in which it went out."""

    def __init__(self, peer: int, engine: Engine, now: int) -> None:
        self.copies = 0
        self._peer = peer
        self._engine = engine
        self._redundancy = AudioRedundancy()
        self._next = now
        self._judge_at = now
        self._marks: dict[int, tuple[int, int]] = {}  # by route: newest seq copied, newest seq seen

    def timer(self) -> int:
        """When `due` has work next."""
        return self._next

    def due(self, downtracks: Iterable[DownTrack], bandwidth: Bandwidth, now: int) -> list[Outgoing]:
        """Return the copies to send now."""
        if now < min(self._next, self._judge_at):
            return []
        audio = [entry for entry in downtracks if entry.kind == "audio" and entry.stream is not None]
        if not audio:
            self._next, self._judge_at = now + _SILENT_NS, now + _JUDGE_NS
            return []
        if now >= self._judge_at:
            self._judge_at = now + _JUDGE_NS
            needed = sum(entry.stream.bits_per_second for entry in audio if entry.stream is not None)
            self._redundancy.update(bandwidth.state.loss, needed / bandwidth.rate, now)
        if not self._redundancy.is_on:
            self._marks.clear()
            self._next = now + _LATEST_NS
            return []
        self._next = now + _STEP_NS
        return [datagram for entry in audio for datagram in self._copy(entry, now)]

    def _copy(self, downtrack: DownTrack, now: int) -> list[Outgoing]:
        newest = self._engine.route_state(downtrack.route).last_seq
        copied, seen = self._marks.get(downtrack.route, (newest, newest))
        self._marks[downtrack.route] = (seen, newest)
        count = (seen - copied) & 0xFFFF
        if not 0 < count <= _MAX_COPIES:
            return []
        self.copies += count
        seqs = [(copied + number) & 0xFFFF for number in range(1, count + 1)]
        return self._engine.retransmit(self._peer, downtrack.ssrc, seqs, now, _STEP_NS)
