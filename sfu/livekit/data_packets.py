"""Packets of data channels: translation of the protocol's packets to our data messages, and back.

A user packet becomes a data message with the same topic, so that clients of both protocols understand each other.
Packets of other kinds (streams, calls, transcriptions, encrypted ones) are passed unchanged in messages of the topic
TOPIC, since only clients need to understand them.
"""

from collections.abc import Callable, Iterable

from google.protobuf.message import DecodeError
from livekit.protocol import models

from sfu.formats.data_message import DataMessage

TOPIC = "livekit"

_OURS = frozenset({"speaker", "metrics"})
"""The kinds of packets that only servers send or receive."""


def read(
    data: bytes,
    resolve: Callable[[Iterable[str]], tuple[str, ...]],
    is_taken: Callable[["models.DataPacket"], bool] = lambda _: False,
) -> DataMessage | None:
    """Return a client's packet as a message, None for one without receivers; raises ValueError for an invalid one.

    `resolve` returns the participants with the given identities. `is_taken` takes packets that are for the server.
    """
    try:
        packet = models.DataPacket.FromString(data)
    except DecodeError as error:
        raise ValueError(str(error)) from error
    kind = packet.WhichOneof("value")
    if kind is None or kind in _OURS or is_taken(packet):
        return None
    identities = [*packet.destination_identities]
    if kind == "user":
        identities += packet.user.destination_identities
    names = resolve(identities)
    if identities and not names:
        return None
    if kind == "user" and not (packet.user.id or packet.user.start_time or packet.user.end_time):
        return DataMessage(packet.user.payload, packet.user.topic, names)
    packet.ClearField("destination_identities")
    packet.ClearField("sequence")
    return DataMessage(packet.SerializeToString(), TOPIC, names)


def write(message: DataMessage, identity: str, sid: str, *, reliable: bool) -> bytes | None:
    """Return a message as a packet from `identity`; None if no client could read it."""
    kind = models.DataPacket.Kind.RELIABLE if reliable else models.DataPacket.Kind.LOSSY
    if message.topic == TOPIC:
        try:
            packet = models.DataPacket.FromString(message.payload)
        except DecodeError:
            return None
        if packet.WhichOneof("value") in {None, *_OURS}:
            return None
    else:
        packet = models.DataPacket(user=models.UserPacket(payload=message.payload, topic=message.topic))
    packet.kind = kind
    if not identity:  # sent by an application, not a participant
        return packet.SerializeToString()
    packet.participant_identity, packet.participant_sid = identity, sid
    if packet.WhichOneof("value") == "user":
        packet.user.participant_identity, packet.user.participant_sid = identity, sid
    return packet.SerializeToString()
