"""Keys in messages of LiveKit's protocol (SipDTMF), which applications send to and get from telephones."""

from google.protobuf.message import DecodeError
from livekit.protocol import models

from parley_client.room import DataReceived
from phone.media.keys import KEYS

TOPIC = "livekit"
"""The topic of messages that contain packets of that protocol."""


def key_in(message: DataReceived) -> str:
    """Return the key that a message contains, "" for none."""
    if message.topic != TOPIC:
        return ""
    try:
        packet = models.DataPacket.FromString(message.payload)
    except DecodeError:
        return ""
    if packet.WhichOneof("value") != "sip_dtmf":
        return ""
    digit = packet.sip_dtmf.digit.upper()
    if len(digit) == 1 and digit in KEYS:
        return digit
    return KEYS[packet.sip_dtmf.code] if not digit and packet.sip_dtmf.code < len(KEYS) else ""


def message_of(key: str) -> bytes:
    return models.DataPacket(sip_dtmf=models.SipDTMF(code=KEYS.index(key), digit=key)).SerializeToString()
