"""Offers to a subscriber: m-sections are slots, only ever added, pointed at tracks without SDP.

Payload types and extension ids are the same for every subscriber of a room, so that routes rewrite little.
"""

from dataclasses import dataclass

from sfu.formats.codecs import Codec
from sfu.formats.extensions import Extension
from sfu.machines.negotiation import LocalTransport, Negotiated

PAYLOAD_TYPES = {Codec.OPUS: 111, Codec.VP8: 96, Codec.VP9: 98, Codec.H264: 102, Codec.AV1: 45}
RTX_PAYLOAD_TYPES = {Codec.VP8: 97, Codec.VP9: 99, Codec.H264: 103, Codec.AV1: 46}
EXTENSION_IDS = {
    Extension.MID: 1,
    Extension.ABS_SEND_TIME: 2,
    Extension.TRANSPORT_SEQ: 3,
    Extension.AUDIO_LEVEL: 4,
    Extension.RID: 5,
    Extension.REPAIRED_RID: 6,
    Extension.DEPENDENCY_DESCRIPTOR: 7,
    Extension.ABS_CAPTURE_TIME: 8,
    Extension.PLAYOUT_DELAY: 9,
    Extension.VIDEO_LAYERS_ALLOCATION: 10,
}


@dataclass(frozen=True, slots=True)
class OfferedSlot:
    """A slot of the subscribe peer: audio slot k and video slot k share msid and CNAME "slot-k"."""

    mid: str
    kind: str
    number: int
    ssrc: int
    rtx_ssrc: int | None = None

    @property
    def msid(self) -> str:
        return f"slot-{self.number}"


class SubscribeNegotiation:
    """One subscribe peer's offers and the answers to them; one offer in flight at a time."""

    def __init__(self, session_id: int) -> None:
        """`session_id` is a random 62-bit number (RFC 9429, section 5.2.1)."""
        self._session_id = session_id
        self._slots: list[OfferedSlot] = []

    @property
    def slots(self) -> tuple[OfferedSlot, ...]:
        """All slots in m-line order."""
        return tuple(self._slots)

    @property
    def in_flight(self) -> bool:
        """Whether an offer awaits its answer."""
        return False

    @property
    def changed(self) -> bool:
        """Whether there are slots that no offer has carried yet."""
        return False

    def add_slot(self, kind: str, ssrc: int, rtx_ssrc: int | None = None) -> OfferedSlot:
        """Add an "audio" or "video" slot for the next offer; its mid is the m-line index as text."""
        raise ValueError(kind, ssrc, rtx_ssrc)

    def offer(self, local: LocalTransport) -> str:
        """Return an offer of all slots, its version one higher than the last's. ValueError while one is in flight."""
        raise ValueError(local)

    def apply(self, answer: str) -> Negotiated:
        """Apply the answer to the offer in flight: per mid the payload types and extensions that were accepted.

        ValueError when it does not parse or does not answer the offer; the offer then stays in flight.
        """
        raise ValueError(answer)
