"""Messages between two nodes that hold the same room: JSON over one WebSocket per room.

The home, where the room was placed, is the hub; a secondary node dials it. Each side first says where it receives media
and with which fresh keys (RFC 7714). Then, after every change, it sends the complete list of participants and tracks
that only it has. Media goes over plain SRTP: each stream once, and only the layers that the other side asked for.
Messages to everybody are passed on as events.
"""

from typing import Annotated

import msgspec

from sfu.api.signaling import Caption, Chat, Hand, Reaction
from sfu.api.signaling_values import ParticipantInfo, Permitted, TrackInfo

VERSION = 2
"""The version in our hello. Version 1, which has neither wishes nor backups, did not send one."""
_Count = Annotated[int, msgspec.Meta(ge=1, le=3)]
_Top = Annotated[int, msgspec.Meta(ge=0, le=255)]


class LinkHello(msgspec.Struct, frozen=True, kw_only=True, tag="hello", tag_field="link"):
    """A side's receiving end: `address` and `port`, with `key` for the media to it and `feedback_key` for its feedback
    (base64).

    The media that this side sends comes from `sends_from`, an address and a port.
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
    """One SSRC of a track on the link. `pixels` and `lines` are the size of its pictures, 0 if unknown."""

    ssrc: int
    rtx_ssrc: int | None = None
    rid: str = ""
    pixels: int = 0
    lines: int = 0


class LinkTrack(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A track that one side has. Only the video streams that the other side asked for are sent.

    `layers` counts the spatial and temporal layers of each stream. A backup names the track that it replaces.
    """

    info: TrackInfo
    payloads: dict[int, LinkPayload]
    streams: list[LinkStream]
    muted_by_host: bool = msgspec.field(default=False, name="held")
    layers: tuple[_Count, _Count] = (1, 1)
    backup_of: str = ""


class LinkState(msgspec.Struct, frozen=True, kw_only=True, tag="state", tag_field="link"):
    """Everything that only this side has; replaces the previous list."""

    participants: list[ParticipantInfo]
    tracks: list[LinkTrack]
    audiences: dict[str, tuple[Permitted, ...]] = {}


class LinkCosts(msgspec.Struct, frozen=True, kw_only=True, tag="costs", tag_field="link"):
    """Costs of our streams in bits/s, by SSRC: only those that changed much, including streams that rest."""

    streams: dict[int, int]


class LinkWishes(msgspec.Struct, frozen=True, kw_only=True, tag="wishes", tag_field="link"):
    """Changes to which of the other side's streams our side watches, by SSRC.

    Values are the highest spatial and temporal layers (255: all of them), or None for nothing.
    """

    streams: dict[int, tuple[_Top, _Top] | None]


class LinkBackups(msgspec.Struct, frozen=True, kw_only=True, tag="backups", tag_field="link"):
    """All tracks of the other side that somebody here cannot decode and needs in another codec."""

    tracks: list[str]


Relayed = Chat | Caption | Hand | Reaction


class LinkEvent(msgspec.Struct, frozen=True, kw_only=True, tag="event", tag_field="link"):
    """A message to the room, to be passed on."""

    message: Relayed


class LinkData(msgspec.Struct, frozen=True, kw_only=True, tag="data", tag_field="link"):
    """A data channel's message, to be passed on to all, or to those in `names`; with `track`, a packet of that data
    track, to be passed on to its subscribers.
    """

    participant: str
    payload: bytes
    names: list[str] = []
    topic: str = ""
    reliable: bool = True
    track: str = ""


LinkMessage = LinkHello | LinkState | LinkCosts | LinkWishes | LinkBackups | LinkEvent | LinkData
_decoder: msgspec.json.Decoder[LinkMessage] = msgspec.json.Decoder(LinkMessage)


def decode(data: str | bytes) -> LinkMessage:
    """Return a message; raises ValueError for anything else."""
    return _decoder.decode(data)


def encode(message: LinkMessage) -> str:
    """Return the message as one JSON text."""
    return msgspec.json.encode(message).decode()
