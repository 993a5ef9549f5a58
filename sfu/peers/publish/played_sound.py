"""A sound of the server's own, played as a track: its packets are due one after another."""

from collections.abc import Sequence

from sfu.api.join_token import Source
from sfu.engine.contract import Leftover
from sfu.formats import opus
from sfu.formats.codecs import Codec
from sfu.formats.rtp import RtpPacket, serialize
from sfu.formats.sdp import Direction
from sfu.machines.negotiation.agreement import NegotiatedMedia, NegotiatedPayload
from sfu.peers.context import Context, random_id
from sfu.peers.publish.inner_peer import InnerPeer
from sfu.peers.publish.uptrack import UpTrack

_MID = "0"
_OPUS_TYPE = 111
_CLOCK_RATE = 48_000
_MEDIA = NegotiatedMedia(
    0,
    _MID,
    "audio",
    Direction.RECVONLY,
    payloads={_OPUS_TYPE: NegotiatedPayload(Codec.OPUS, _CLOCK_RATE, channels=2)},
)


class PlayedSound:
    """`packets` are those of Opus, from `begins` (ns) on; `next_at` is when the next is due, None after the last."""

    def __init__(self, context: Context, participant: str, packets: Sequence[bytes], *, begins: int, now: int) -> None:
        self.peer = InnerPeer(context, UpTrack(random_id("t"), participant, Source.MICROPHONE, _MEDIA), now)
        self.next_at: int | None = begins
        self._packets = packets
        self._begins = begins
        self._ssrc = self.peer.begin_stream(now)
        self._done = 0
        self._samples = 0

    @property
    def uptrack(self) -> UpTrack:
        return self.peer.uptrack

    def due(self, now: int) -> list[Leftover]:
        """Return the packets that are due, in the engine's form."""
        found = []
        while self.next_at is not None and self.next_at <= now:
            payload = self._packets[self._done]
            packet = RtpPacket(
                _OPUS_TYPE, self._done & 0xFFFF, self._samples, self._ssrc, payload, marker=self._done == 0
            )
            found.append(self.peer.leftover(serialize(packet), now))
            self._done += 1
            self._samples += opus.samples(payload)
            is_last = self._done == len(self._packets)
            self.next_at = None if is_last else self._begins + self._samples * 1_000_000_000 // _CLOCK_RATE
        return found
