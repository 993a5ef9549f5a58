"""Bodies and answers of negotiation by polling."""

from typing import Annotated, Literal

import msgspec

from control.api.types import Answer, Body

Sdp = Annotated[str, msgspec.Meta(min_length=1, max_length=200_000)]


class PeerOffer(Body, frozen=True, kw_only=True):
    """`publish` sends to the room, as WHIP does; `play` receives from it, as WHEP does."""

    sdp: Sdp
    purpose: Literal["publish", "play"] = "publish"


class PeerAnswer(Answer, frozen=True, kw_only=True):
    """What the media server answered. `location` is the resource that WHIP or WHEP would have named."""

    type: Literal["answer"]
    purpose: Literal["publish", "play"]
    sdp: str
    location: str


class PeerCandidates(Answer, frozen=True, kw_only=True):
    """The media server's candidates (RFC 8839): all that there will be."""

    candidates: list[str]


class AnswerGiven(Body, frozen=True, kw_only=True):
    participant: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    sdp: Sdp


class CandidateGiven(Body, frozen=True, kw_only=True):
    participant: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    candidate: Annotated[str, msgspec.Meta(max_length=2000)]
