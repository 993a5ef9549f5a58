"""An engine's table with publishers and subscribers, and the far ends of their SRTP."""

import random
from collections.abc import Mapping

import pylibsrtp

from sfu.engine.contract import (
    Datagram,
    Engine,
    Outgoing,
    Payload,
    PeerEntry,
    Result,
    RouteEntry,
    RouteSource,
    SrtpKeys,
    SrtpProfile,
    StreamEntry,
)
from sfu.formats import rtp
from sfu.formats.codecs import Codec
from sfu.formats.extensions import Extension
from sfu.formats.rtp import RtpPacket

KEY_BYTES = {
    SrtpProfile.AES128_CM_HMAC_SHA1_80: 30,
    SrtpProfile.AEAD_AES_128_GCM: 28,
    SrtpProfile.AEAD_AES_256_GCM: 44,
}
GCM = SrtpProfile.AEAD_AES_128_GCM
MILLISECOND = 1_000_000
VIDEO = {96: Payload(Codec.VP8, 90_000), 97: Payload(Codec.RTX, 90_000, 96)}
VIDEO_VP9 = {98: Payload(Codec.VP9, 90_000), 99: Payload(Codec.RTX, 90_000, 98)}
AUDIO = {111: Payload(Codec.OPUS, 48_000)}
SOUND = {63: Payload(Codec.RED, 48_000), **AUDIO}
RECEIVED = {
    1: Extension.MID,
    2: Extension.ABS_SEND_TIME,
    3: Extension.TRANSPORT_SEQ,
    4: Extension.AUDIO_LEVEL,
    7: Extension.DEPENDENCY_DESCRIPTOR,
    9: Extension.PLAYOUT_DELAY,
    10: Extension.RID,
}
SENT = {
    Extension.MID: 1,
    Extension.ABS_SEND_TIME: 2,
    Extension.TRANSPORT_SEQ: 3,
    Extension.AUDIO_LEVEL: 5,
    Extension.DEPENDENCY_DESCRIPTOR: 8,
    Extension.PLAYOUT_DELAY: 11,
}


def session(key: bytes, profile: SrtpProfile, direction: int) -> pylibsrtp.Session:
    policy = pylibsrtp.Policy(key=key, ssrc_type=direction, srtp_profile=int(profile))
    policy.allow_repeat_tx = True
    policy.window_size = 4096
    return pylibsrtp.Session(policy)


class Publisher:
    """The far end of a publish peer."""

    def __init__(self, engine: Engine, peer: int, seed: int, profile: SrtpProfile = GCM) -> None:
        randoms = random.Random(f"publisher {seed}")
        key = randoms.randbytes(KEY_BYTES[profile])
        self.peer = peer
        self.source = ("10.0.0.1", 40_000 + peer)
        self.srtp = session(key, profile, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
        engine.set_peer(PeerEntry(peer, receive_extensions=RECEIVED))
        self.keys = SrtpKeys(profile, receive=key, send=randoms.randbytes(KEY_BYTES[profile]))
        engine.set_keys(peer, self.keys)
        engine.admit_source(peer, self.source, 0)

    def protect(self, packet: RtpPacket, arrival: int = 0) -> Datagram:
        return Datagram(self.srtp.protect(rtp.serialize(packet)), self.source, 0, arrival)


class Subscriber:
    """The far end of a subscribe peer."""

    def __init__(
        self,
        engine: Engine,
        peer: int,
        seed: int,
        profile: SrtpProfile = GCM,
        extensions: Mapping[Extension, int] = SENT,
    ) -> None:
        randoms = random.Random(f"subscriber {seed}")
        self.key = randoms.randbytes(KEY_BYTES[profile])
        self.peer = peer
        self.profile = profile
        self.address = ("10.0.0.2", 50_000 + peer)
        self.srtp = session(self.key, profile, pylibsrtp.Policy.SSRC_ANY_INBOUND)
        self._engine = engine
        engine.set_peer(PeerEntry(peer, send_extensions=extensions))
        engine.set_keys(peer, SrtpKeys(profile, receive=randoms.randbytes(KEY_BYTES[profile]), send=self.key))
        engine.set_address(peer, self.address, 0)

    def add_route(self, route: int, **changes: object) -> RouteEntry:
        """Return a video route, by default with RTX."""
        fields: dict[str, object] = {
            "route": route,
            "peer": self.peer,
            "ssrc": 0x1000 + route,
            "payload_types": {96: 100, 98: 102, 111: 111},
            "first_seq": 500,
            "rtx_ssrc": 0x2000 + route,
            "rtx_payload_types": {100: 101, 102: 103},
            "mid": "v1",
        }
        entry = RouteEntry(**{**fields, **changes})  # type: ignore[arg-type]  # fields by name
        self._engine.set_route(entry)
        return entry

    def received(self, outgoing: Result | list[Outgoing]) -> list[RtpPacket]:
        """Return the packets that reached this subscriber, unprotected."""
        entries = outgoing.outgoing if isinstance(outgoing, Result) else outgoing
        return [rtp.parse(self.srtp.unprotect(data)) for data, address, _ in entries if address == self.address]


def one_to_one(engine: Engine, profile: SrtpProfile = GCM) -> tuple[Publisher, Subscriber]:
    """Peer 1 publishes VP8 as stream 1 (SSRC 11, RTX 12); peer 2 gets it by route 1."""
    publisher = Publisher(engine, 1, 1, profile)
    subscriber = Subscriber(engine, 2, 2, profile)
    engine.add_stream(StreamEntry(1, 1, 11, VIDEO, 12))
    subscriber.add_route(1)
    engine.switch_route(1, RouteSource(1))
    return publisher, subscriber


def vp8(
    seq: int,
    timestamp: int = 0,
    *,
    picture: int = 1,
    tl0: int = 0,
    temporal: int = 0,
    key: bool = False,
    start: bool = True,
    sync: bool = False,
    marker: bool = True,
    ssrc: int = 11,
    body: bytes = b"image",
    **fields: object,
) -> RtpPacket:
    descriptor = bytes([
        0x80 | (0x10 if start else 0), 0xE0, 0x80 | picture >> 8 & 0x7F, picture & 0xFF, tl0 & 0xFF,
        temporal << 6 | (0x20 if sync else 0),
    ])  # fmt: skip
    # A keyframe's first bytes: tag with P = 0, start code, size.
    frame = b"\x00\x00\x00\x9d\x01\x2a\x80\x02\xe0\x01" if key else b"\x01\x00\x00"
    payload = descriptor + (frame if start else b"") + body
    return RtpPacket(96, seq & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, payload, marker, **fields)  # type: ignore[arg-type]


def vp8_picture(packet: RtpPacket) -> tuple[int, int]:
    """Return (picture id, TL0PICIDX) of a payload made by `vp8`."""
    return int.from_bytes(packet.payload[2:4], "big") & 0x7FFF, packet.payload[4]


def vp9(
    seq: int,
    timestamp: int = 0,
    *,
    picture: int = 1,
    tl0: int = 0,
    temporal: int = 0,
    spatial: int = 0,
    inter: bool = True,
    up: bool = False,
    start: bool = True,
    end: bool = True,
    marker: bool = False,
    ssrc: int = 21,
    body: bytes = b"image",
) -> RtpPacket:
    """Non-flexible mode, with picture id and layer indices."""
    first = 0x80 | (0x40 if inter else 0) | 0x20 | (0x08 if start else 0) | (0x04 if end else 0)
    layers = temporal << 5 | (0x10 if up else 0) | spatial << 1 | (1 if spatial else 0)
    descriptor = bytes([first, 0x80 | picture >> 8 & 0x7F, picture & 0xFF, layers, tl0 & 0xFF])
    return RtpPacket(98, seq & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, descriptor + body, marker)


def opus(seq: int, timestamp: int = 0, *, ssrc: int = 31, body: bytes = b"sound", **fields: object) -> RtpPacket:
    return RtpPacket(111, seq & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, body, **fields)  # type: ignore[arg-type]


def rtx(packet: RtpPacket, seq: int) -> RtpPacket:
    """Return the publisher's retransmission of a packet, with payload type and SSRC increased by one."""
    return rtp.wrap_rtx(packet, packet.payload_type + 1, packet.ssrc + 1, seq & 0xFFFF)
