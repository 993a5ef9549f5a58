"""Data of flight recorder entries: decisions, and messages without secrets and people's texts."""

import re
from collections.abc import Iterable

import msgspec

from sfu.api import signaling
from sfu.machines.layers.layer_allocator import Allocation, Demand, Rank

_ICE_PASSWORD = re.compile(r"(a=ice-pwd:)\S+")
MASK = "…"


class Allocated(msgspec.Struct, frozen=True, kw_only=True):
    """Input and outcome of one allocation: rates in bits/s, and the index of each track's granted layer, -1 for a
    pause.

    A demand has track, rank, bits/s per layer, and displayed size in pixels, as in machines.layers.layer_allocator.
    """

    estimate: float
    audio: float
    demands: list[tuple[str, Rank, tuple[float, ...], int]]
    grants: dict[str, int]


def message(said: signaling.Message) -> bytes:
    """Return a message as JSON, without resume secrets, passwords, and written or spoken text."""
    match said:
        case signaling.RoomInfo():
            said = msgspec.structs.replace(said, resume=MASK)
        case signaling.Chat() | signaling.Caption():
            said = msgspec.structs.replace(said, text=MASK)
        case signaling.Offer() | signaling.Answer():
            said = msgspec.structs.replace(said, sdp=_ICE_PASSWORD.sub(rf"\1{MASK}", said.sdp))
    return msgspec.json.encode(said)


def allocation(estimate: float, audio: float, demands: Iterable[Demand[str]], outcome: Allocation[str]) -> bytes:
    """Return an allocation with all its input, as JSON."""
    asked = [(demand.key, demand.rank, demand.layers, demand.pixels) for demand in demands]
    granted = {track: grant.layer for track, grant in outcome.grants.items()}
    return msgspec.json.encode(Allocated(estimate=estimate, audio=audio, demands=asked, grants=granted))


def decision(what: str, **about: object) -> bytes:
    """Return a decision as JSON."""
    return msgspec.json.encode({"what": what, **about})
