"""Progress of an incoming stream: counted for each packet, read for reports and for the choice of layers.

This code runs in the Python engine, and is the specification of the compiled one. Loss and jitter are those of RFC
3550, sections A.3 and A.8, with one departure: as in libwebrtc, jitter is measured only between packets with different
timestamps, since the packets of a video frame are paced, which says nothing about the network. Repairs arrive on a
separate stream (RFC 4588) or in a later packet (RED, RFC 2198), so they do not reduce the losses here. Packets that we
dropped ourselves under overload count as received: the link did not lose them, and a sender that slowed down for them
would send worse pictures for a long time.
"""

from sfu.machines.loudness import Loudness

_SECOND = 1_000_000_000
RESUMED_NS = 1_000_000_000
"""A pause after which a stream counts as resumed."""
WINDOW_NS = 1_000_000_000
"""The time over which a rate is counted; a window twice as long contains a pause and gives no rate."""
OVERSIZE_BYTES = 1300
"""The largest RTP packet that passes anywhere: Ethernet's 1500 less IPv6, UDP, SRTP, our header extensions, and a
tunnel or TURN.
"""


class StreamProgress(Loudness):
    """The progress of one incoming stream; `sfu.engine.contract.Progress` describes the attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.packets = self.received = 0
        self.first = self.highest = 0
        self.frames = 0
        self.timestamp = self.timestamp_before = -1
        self.timestamp_at = 0
        self.after_keyframe = False
        self.last_arrival = 0
        self.oversize = self.largest = 0
        self.measured_at = 0
        self.bits_per_second = self.frame_rate = 0.0
        self.temporal_layers = 1
        self._jitter_16 = 0  # RFC 3550, A.8: scaled by 16
        self._jitter_timestamp = self._jitter_arrival = 0
        self._window_bytes = self._window_frames = self._window_temporal = 0

    @property
    def jitter(self) -> int:
        return self._jitter_16 >> 4

    def take(
        self,
        ext_seq: int,
        arrival: int,
        timestamp: int,
        size: int = 0,
        *,
        clock_rate: int = 0,
        repaired: bool = False,
        keyframe: bool = False,
        padding: bool = False,
        ours: int = 0,
        temporal: int = 0,
    ) -> None:
        """Take a packet (no duplicates) of `size` bytes; without a clock rate there is no jitter.

        We dropped `ours` of the missing packets right before it. `temporal` is its temporal layer.
        """
        self.packets += 1
        self.received += ours
        if not repaired:
            self._count(ext_seq, arrival, timestamp, clock_rate)
        self.after_keyframe = keyframe or (self.after_keyframe and timestamp == self.timestamp)
        if not repaired and not padding and timestamp != self.timestamp:
            self.timestamp_before = self.timestamp
            self.timestamp, self.timestamp_at = timestamp, arrival
            self.frames += 1
            self._window_frames += 1
        self._window_temporal = max(self._window_temporal, temporal)
        if size > OVERSIZE_BYTES:
            self.oversize += 1
            self.largest = max(self.largest, size)
        self._measure(arrival, 0 if padding else size)  # no viewer gets padding

    def _count(self, ext_seq: int, arrival: int, timestamp: int, clock_rate: int) -> None:
        if not self.received:
            self.first = self.highest = ext_seq
            self._jitter_timestamp, self._jitter_arrival = timestamp, arrival
        self.received += 1
        self.first = min(self.first, ext_seq)
        if ext_seq <= self.highest:
            return
        self.highest = ext_seq
        if timestamp != self._jitter_timestamp and clock_rate:
            self._update_jitter(arrival, timestamp, clock_rate)

    def _update_jitter(self, arrival: int, timestamp: int, clock_rate: int) -> None:
        sent = (timestamp - self._jitter_timestamp + 0x80000000) % 0x100000000 - 0x80000000
        came = (arrival - self._jitter_arrival) * clock_rate // _SECOND
        self._jitter_16 += abs(came - sent) - (self._jitter_16 + 8 >> 4)
        self._jitter_timestamp, self._jitter_arrival = timestamp, arrival

    def _measure(self, arrival: int, size: int) -> None:
        self.last_arrival = arrival
        self._window_bytes += size
        elapsed = arrival - self.measured_at
        if elapsed >= WINDOW_NS:
            is_whole = elapsed < 2 * WINDOW_NS
            self.bits_per_second = self._window_bytes * 8e9 / elapsed if is_whole else 0.0
            self.frame_rate = self._window_frames * 1e9 / elapsed if is_whole else 0.0
            self.measured_at = arrival
            self.temporal_layers = self._window_temporal + 1
            self._window_bytes = self._window_frames = self._window_temporal = 0
