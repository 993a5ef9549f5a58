"""Messages between two nodes that hold the same room: JSON over one WebSocket a room.

The home, where the room was placed, is the hub; a secondary node dials it. Each side says first where it
receives media and under which fresh keys (RFC 7714), then, whenever it changes, the whole of what it has that the other
has not: participants and tracks. Media go over plain SRTP, each stream once, and of it only the layers that the other
side wishes for. What is said to all is passed on as event.
"""

from typing import Annotated

import msgspec

from sfu.api.signaling import Caption, Chat
from sfu.api.signaling_values import ParticipantInfo, TrackInfo

VERSION = 2
"""The version in our hello; version 1, which knows neither wishes nor backups, sent none."""
_Count = Annotated[int, msgspec.Meta(ge=1, le=3)]
_Top = Annotated[int, msgspec.Meta(ge=0, le=255)]


class LinkHello(msgspec.Struct, frozen=True, kw_only=True, tag="hello", tag_field="link"):
    """Media for us goes to `address` and `port`, protected by `key`; our feedback comes under `feedback_key` (base64).

    What we send comes from `sends_from`, an address and a port.
    """

    node: str
    address: str
    port: int
    sends_from: tuple[str, int]
    key: str
    feedback_key: str
    v: int = 1


class LinkPayload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A payload type of a track on the link. `codec` is a name of sfu.formats.codecs.Codec."""

    codec: str
    clock_rate: int
    repairs: int | None = None
    channels: int = 1
    parameters: dict[str, str] = {}


class LinkStream(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One SSRC of a track on the link. `pixels` and `lines` are its pictures' size, 0 where that is not known."""

    ssrc: int
    rtx_ssrc: int | None = None
    rid: str = ""
    pixels: int = 0
    lines: int = 0


class LinkTrack(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A track that one side has. Of video only those streams are sent that are wished for.

    `layers` counts those of each stream, in space and in time. A backup says of which track it is one.
    """

    info: TrackInfo
    payloads: dict[int, LinkPayload]
    streams: list[LinkStream]
    muted_by_host: bool = msgspec.field(default=False, name="held")
    layers: tuple[_Count, _Count] = (1, 1)
    backup_of: str = ""


class LinkState(msgspec.Struct, frozen=True, kw_only=True, tag="state", tag_field="link"):
    """Everything that one side has and the other has not; replaces what was said before."""

    participants: list[ParticipantInfo]
    tracks: list[LinkTrack]


class LinkCosts(msgspec.Struct, frozen=True, kw_only=True, tag="costs", tag_field="link"):
    """Costs of our streams in bits/s, by SSRC, as far as they changed much; resting streams too."""

    streams: dict[int, int]


class LinkWishes(msgspec.Struct, frozen=True, kw_only=True, tag="wishes", tag_field="link"):
    """The other side's streams that our side watches, by SSRC, as far as that changed.

    The highest layers in space and in time (255: all that there are), or None: nothing.
    """

    streams: dict[int, tuple[_Top, _Top] | None]


class LinkBackups(msgspec.Struct, frozen=True, kw_only=True, tag="backups", tag_field="link"):
    """The tracks of the other side that somebody here cannot decode and needs in another codec: all of them."""

    tracks: list[str]


class LinkEvent(msgspec.Struct, frozen=True, kw_only=True, tag="event", tag_field="link"):
    """Something said in the room, to be passed on."""

    message: Chat | Caption


class LinkData(msgspec.Struct, frozen=True, kw_only=True, tag="data", tag_field="link"):
    """A message of a data channel, to be passed on: to all, or to those in `names`."""

    participant: str
    payload: bytes
    names: list[str] = []
    topic: str = ""
    reliable: bool = True


LinkMessage = LinkHello | LinkState | LinkCosts | LinkWishes | LinkBackups | LinkEvent | LinkData
_decoder: msgspec.json.Decoder[LinkMessage] = msgspec.json.Decoder(LinkMessage)


def decode(data: str | bytes) -> LinkMessage:
    """Return a message; raises ValueError for anything else."""
    return _decoder.decode(data)


def encode(message: LinkMessage) -> str:
    """Return the message as one JSON text."""
    return msgspec.json.encode(message).decode()
