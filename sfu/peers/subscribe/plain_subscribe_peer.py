"""A plain transport that sends one track: a subscribe peer with one downtrack, its parameters given by its opener.

The track is chosen by id, or by participant and source, which outlive single tracks.
"""

from collections.abc import Mapping, Sequence

from sfu.api.plain_transport import SendTransport
from sfu.engine.contract import Address
from sfu.formats import telephony
from sfu.formats.codecs import Codec
from sfu.machines.negotiation.subscribe import OfferedSlot
from sfu.peers.context import Context, random_id, random_ssrc
from sfu.peers.plain_peer import PlainPeer
from sfu.peers.publish.converted_track import Convert, ConvertedTrack
from sfu.peers.publish.uptrack import CODECS_BY_NAME
from sfu.peers.subscribe.downtrack import DownTrack, SlotEncoding
from sfu.peers.subscribe.subscribe_peer import SubscribePeer
from sfu.peers.subscribe.subscription import Candidate
from sfu.peers.unproved import PROOF_NS

_PAYLOAD_TYPES = {"audio": 111, "video": 96}
UNHEARD = "receiver_unheard"
_LOOK_NS = 100_000_000
_SECOND = 1_000_000_000


class PlainSubscribePeer(SubscribePeer):
    """`transport` is its id, `wish` the request, `kind` the medium ("audio" or "video"), `end` our address.

    `codec` is the telephone codec to which `convert` converts the audio; None sends it unchanged.
    """

    peer: PlainPeer

    def __init__(
        self, context: Context, wish: SendTransport, kind: str, peer: PlainPeer, now: int, *, convert: Convert
    ) -> None:
        super().__init__(context, now, peer)
        self.transport = random_id("x")
        self.end: Address = ("", 0)
        self.wish = wish
        self.kind = kind
        self.codec = CODECS_BY_NAME[wish.codec] if wish.codec is not None else None
        default = _PAYLOAD_TYPES[kind] if self.codec is None else telephony.PAYLOAD_TYPES[self.codec]
        self.payload_type = default if wish.payload_type is None else wish.payload_type
        self._convert = convert
        self._conversion: ConvertedTrack | None = None
        repaired = kind == "video" and wish.rtx_payload_type is not None
        rtx_ssrc = (wish.rtx_ssrc or random_ssrc()) if repaired else None
        slot = OfferedSlot("", kind, 0, wish.ssrc or random_ssrc(), rtx_ssrc)
        self.downtrack: DownTrack = self.add(slot, now)
        self.downtrack.agree(SlotEncoding(self._payload_types(), self._rtx_payload_types()), now)
        interval = int(wish.keyframe_seconds * _SECOND)
        self._keyframe_every = interval if kind == "video" else 0
        self._next_keyframe = now + interval
        self._next_look: int | None = None
        self._proof_due: int | None = None

    def _payload_types(self) -> Mapping[Codec, int]:
        if self.codec is not None:
            return {self.codec: self.payload_type}
        is_audio = self.kind == "audio"
        return {codec: self.payload_type for codec in Codec if codec.is_audio is is_audio and codec is not Codec.RTX}

    def _rtx_payload_types(self) -> Mapping[int, int]:
        repairs = self.wish.rtx_payload_type
        return {self.payload_type: repairs} if repairs is not None and self.kind == "video" else {}

    def update(self, audio: Sequence[Candidate], video: Sequence[Candidate], now: int) -> None:
        """Carry the requested track, if it is published."""
        candidates = audio if self.kind == "audio" else video
        found = next((entry for entry in candidates if self._fits(entry)), None)
        if found is None:
            self.downtrack.clear()
            self._end_conversion()
        elif self.codec is not None:
            self._show_converted(found, self.codec, now)
        elif found.wish != self.downtrack.wish:
            self.downtrack.show(found.uptrack, found.publisher, found.wanted, now)

    def _show_converted(self, entry: Candidate, codec: Codec, now: int) -> None:
        if self._conversion is not None and self._conversion.source is entry.uptrack:
            return
        self.downtrack.clear()
        self._end_conversion()
        conversion = self._conversion = self._convert(entry.uptrack, codec, now)
        self.downtrack.show(conversion.uptrack, conversion.peer, entry.wanted, now)

    def _end_conversion(self) -> None:
        if self._conversion is not None:
            self._conversion.end()
            self._conversion = None

    def close(self, now: int) -> None:
        """Stop the conversion, and do what every subscribe peer does."""
        super().close(now)
        self._end_conversion()

    def _fits(self, entry: Candidate) -> bool:
        if self.wish.track is not None:
            return entry.uptrack.track == self.wish.track
        return (entry.uptrack.participant, entry.uptrack.source) == (self.wish.of, self.wish.source)

    def expect_proof(self, now: int) -> None:
        """Stop unless the receiver answers within PROOF_NS of the first packet that it gets."""
        self._next_look = now + _LOOK_NS

    def timer(self) -> int | None:
        """Return when `handle_timer` has work next."""
        times = [super().timer(), self._next_look, self._next_keyframe if self._asks_for_keyframes() else None]
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: int) -> None:
        """Do what every subscribe peer does, and ask for keyframes on behalf of a receiver that may be unable to."""
        super().handle_timer(now)
        if self._next_look is not None and now >= self._next_look:
            self._next_look = self._look_for_proof(now)
        if self._asks_for_keyframes() and now >= self._next_keyframe:
            self._next_keyframe = now + self._keyframe_every
            self.downtrack.request_keyframe(now)

    def _look_for_proof(self, now: int) -> int | None:
        """Return when to check again for an answer of the receiver; give up if none arrived in time."""
        if self.peer.closed:
            return None
        if not self._is_unheard():
            self._context.unproved.proved(self.wish.address)
            return None
        if self._proof_due is None and self._has_sent():
            self._proof_due = now + PROOF_NS
        if self._proof_due is not None and now >= self._proof_due:
            self.peer.give_up(UNHEARD)
            return None
        return now + _LOOK_NS

    def _has_sent(self) -> bool:
        downtrack = self.downtrack
        return downtrack.in_table and self._context.engine.route_state(downtrack.route).packets > 0

    def _asks_for_keyframes(self) -> bool:
        return self._keyframe_every > 0 and not self.peer.closed and self._is_unheard()

    def _is_unheard(self) -> bool:
        return self._context.engine.last_activity(self.peer.number) == 0
