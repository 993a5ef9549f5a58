"""Answers to a player's offer (WHEP): sendonly, with the player's payload types and extension ids."""

from collections.abc import Sequence
from dataclasses import dataclass

from sfu.machines.negotiation import LocalTransport, Negotiated


@dataclass(frozen=True, slots=True)
class PlaybackStream:
    """What is to be sent: "audio" or "video" under these SSRCs; equal `msid`s are played in sync."""

    kind: str
    msid: str
    ssrc: int
    rtx_ssrc: int | None = None


class PlaybackNegotiation:
    """One WHEP session's offer/answer."""

    def __init__(self, session_id: int) -> None:
        self._session_id = session_id

    def answer(self, offer: str, local: LocalTransport, streams: Sequence[PlaybackStream]) -> Negotiated:
        """Return the answer; streams go to the offered m-sections of their kind in order, what is left is not sent.

        The result's media name, in `streams`, the SSRCs that were placed. ValueError when the offer does not parse or
        cannot be answered at all.
        """
        raise ValueError(offer, local, streams)
