"""Copies of a subscriber's audio packets on a lossy link: the decision, which the engine carries out. See
machines/repair/audio_redundancy.
"""

from collections.abc import Iterable

from sfu.engine.contract import Engine
from sfu.machines.repair.audio_redundancy import AudioRedundancy
from sfu.peers.subscribe.bandwidth import Bandwidth
from sfu.peers.subscribe.downtrack import DownTrack

_JUDGE_NS = 250_000_000


class AudioCopies:
    """The decision for one subscribe peer."""

    def __init__(self, peer: int, engine: Engine, now: int) -> None:
        self._peer = peer
        self._engine = engine
        self._redundancy = AudioRedundancy()
        self._judge_at = now

    @property
    def times(self) -> int:
        """The number of times that each packet is sent."""
        return 1 + self._redundancy.is_on + self._redundancy.has_third

    def judge(self, downtracks: Iterable[DownTrack], bandwidth: Bandwidth, now: int) -> None:
        """Decide anew if it is time to; call this with the link's checks."""
        if now < self._judge_at:
            return
        self._judge_at = now + _JUDGE_NS
        loss, before = bandwidth.state.loss, self.times
        if not loss and before == 1:
            return
        needed = sum(entry.stream.bits_per_second for entry in downtracks if entry.kind == "audio" and entry.stream)
        self._redundancy.update(loss, needed / bandwidth.rate, now, is_full=not bandwidth.is_drained)
        if self.times != before:
            self._engine.copy_audio(self._peer, self.times - 1)
