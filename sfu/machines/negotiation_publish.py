"""Answers to a publisher's offers: browsers on the publish peer, and WHIP (RFC 9725)."""

from dataclasses import dataclass

from sfu.formats.codecs import Codec
from sfu.machines.negotiation import LocalTransport, Negotiated


@dataclass(frozen=True, slots=True)
class PublishPolicy:
    """What a publisher may send. Sections beyond a maximum, or of a codec outside `codecs`, are rejected."""

    max_audio: int = 4
    max_video: int = 4
    codecs: frozenset[Codec] = frozenset(Codec)


class PublishNegotiation:
    """One publish peer's offer/answer: keeps session id, version and m-line order across re-offers."""

    def __init__(self, session_id: int) -> None:
        """`session_id` is a random 62-bit number (RFC 9429, section 5.2.1)."""
        self._session_id = session_id

    def restarts_ice(self, offer: str) -> bool:
        """Whether a later offer carries new ICE credentials, so that `answer` needs new local ones (RFC 8839, 4.4.1.1).

        ValueError when it does not parse.
        """
        raise ValueError(offer)

    def answer(self, offer: str, local: LocalTransport, policy: PublishPolicy) -> Negotiated:
        """Return the answer. ValueError when the offer does not parse or cannot be answered at all.

        An offer that raises leaves the negotiation as it was.
        """
        raise ValueError(offer, local, policy)
