"""Packets of data channels: those of the protocol to our data messages, and back.

A user packet is a data message of its topic, so that clients of both protocols understand each other. Packets of other
kinds (streams, calls, transcriptions, encrypted ones) are kept whole as messages of the topic TOPIC: what they say is
their clients' business.
"""

from collections.abc import Callable, Iterable

from google.protobuf.message import DecodeError
from livekit.protocol import models

from sfu.formats.data_message import DataMessage

TOPIC = "livekit"

_OURS = frozenset({"speaker", "metrics"})
"""Kinds of packets that servers send, or get."""


def read(data: bytes, resolve: Callable[[Iterable[str]], tuple[str, ...]]) -> DataMessage | None:
    """Return a client's packet as a message, None for one that is for nobody; raises ValueError for nonsense.

    `resolve` returns the participants that identities name.
    """
    try:
        packet = models.DataPacket.FromString(data)
    except DecodeError as error:
        raise ValueError(str(error)) from error
    kind = packet.WhichOneof("value")
    if kind is None or kind in _OURS:
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
    """Return a message as a packet from `identity`; None for one that no client could read."""
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
    if not identity:  # an application says it, not a participant
        return packet.SerializeToString()
    packet.participant_identity, packet.participant_sid = identity, sid
    if packet.WhichOneof("value") == "user":
        packet.user.participant_identity, packet.user.participant_sid = identity, sid
    return packet.SerializeToString()
