"""Parsers of bytes from the network, by name: each takes any bytes and either returns or raises ValueError.

A target also checks the invariants of parsed values, so that the fuzzer finds wrong values too.
"""

import base64
import contextlib
from collections.abc import Callable
from urllib.parse import urlencode

from google_crc32c import value as crc32c

from phone.media import description
from phone.media.description import PhoneCodec, Unacceptable
from phone.media.description import Stream as PhoneStream
from phone.media.rtp_leg import RtpLeg
from phone.sip.events import Invited, Offered
from phone.sip.messages import Flow, StreamFraming
from phone.sip.user_agent import UserAgent
from sfu.api import sink_records
from sfu.api.join_token import Grants, Source
from sfu.api.livekit import LiveKitAdmission
from sfu.api.refusal import Refused
from sfu.api.signaling import RoomInfo
from sfu.api.signaling_values import CaptionsState, ParticipantInfo, RecordingState, TrackInfo
from sfu.formats import (
    av1,
    data_message,
    dependency_descriptor,
    h264,
    header_extensions,
    opus,
    red,
    rtcp,
    rtp,
    sctp,
    sdp,
    stun,
    vp8,
    vp9,
)
from sfu.formats.codecs import Codec
from sfu.formats.data_message import DataMessage
from sfu.formats.keyframes import keyframe_size
from sfu.formats.tcp_framing import Deframer
from sfu.frames.assembler import FrameAssembler
from sfu.livekit import parameters
from sfu.livekit.session import LiveKitSession
from sfu.machines.dtls import records as dtls_records
from sfu.machines.sctp_association import SctpAssociation, SctpMessage


def fuzz_rtp(data: bytes) -> None:
    packet = rtp.parse(data)
    assert rtp.parse(rtp.serialize(packet)) == packet


def fuzz_rtcp(data: bytes) -> None:
    for packet in rtcp.parse(data):
        if isinstance(packet, rtcp.TransportFeedback):
            assert rtcp.parse(rtcp.serialize([packet])) == [packet]


def fuzz_stun(data: bytes) -> None:
    message = stun.parse(data)
    stun.verify_integrity(data, b"password")
    assert stun.parse(stun.serialize(message)).username == message.username


def fuzz_header_extensions(data: bytes) -> None:
    elements = header_extensions.parse_block(int.from_bytes(data[:2], "big"), data, 2, len(data)) if data else ()
    header_extensions.write_block(elements)


def fuzz_dependency_descriptor(data: bytes) -> None:
    """The first byte splits the rest into a descriptor with a structure and one that refers to it."""
    cut = 1 + data[0] if data else 0
    structure = dependency_descriptor.parse(data[1:cut], None).structure
    dependency_descriptor.parse(data[cut:], structure)


def fuzz_vp8(data: bytes) -> None:
    descriptor = vp8.parse(data)
    assert vp8.parse(vp8.rewrite(data, descriptor, 5, 6)).size == descriptor.size
    keyframe_size(Codec.VP8, data)


def fuzz_vp9(data: bytes) -> None:
    descriptor = vp9.parse(data)
    assert vp9.parse(vp9.rewrite(data, descriptor, 5, 6)).size == descriptor.size
    keyframe_size(Codec.VP9, data)


def fuzz_h264(data: bytes) -> None:
    h264.parse(data)
    keyframe_size(Codec.H264, data)


def fuzz_av1(data: bytes) -> None:
    av1.parse(data)
    keyframe_size(Codec.AV1, data)


def fuzz_opus(data: bytes) -> None:
    assert 0 < opus.samples(data) <= 5760


def fuzz_red(data: bytes) -> None:
    *earlier, primary = red.parse(data)
    blocks = [(block.payload_type, block.offset, data[block.start : block.end]) for block in earlier]
    assert red.serialize(blocks, primary.payload_type, data[primary.start : primary.end]) == data


def fuzz_frames(data: bytes) -> None:
    """The first byte names the codec; then records of a length, an ext_seq and a payload's first packet byte."""
    codecs = [codec for codec in Codec if codec not in (Codec.RTX, Codec.RED)]
    assembler = FrameAssembler(codecs[data[0] % len(codecs)] if data else Codec.VP8, max_packets=16, max_wait=40)
    offset = 1
    while offset + 3 <= len(data):
        size, ext_seq, flags = data[offset : offset + 3]
        payload = data[offset + 3 : offset + 3 + size]
        packet = rtp.RtpPacket(96, ext_seq, flags & 0x0F, 1, payload, marker=flags > 0x7F)
        assembler.push(ext_seq, offset, rtp.serialize(packet))
        offset += 3 + size
    assembler.drain()


def fuzz_sdp(data: bytes) -> None:
    description = sdp.parse(data.decode("utf-8", "replace"))
    assert sdp.parse(sdp.serialize(description)) == description


def fuzz_dtls_records(data: bytes) -> None:
    found = dtls_records.records(data)
    if dtls_records.is_sane(data, found):
        dtls_records.pack(data, 1200)
    dtls_records.is_client_hello(data, found)


def fuzz_sink_records(data: bytes) -> None:
    record = sink_records.decode(data)
    assert sink_records.decode(sink_records.encode(record)) == record


def fuzz_sctp(data: bytes) -> None:
    for chunk in sctp.parse(data):
        sctp.streams(chunk)


def fuzz_sctp_association(data: bytes) -> None:
    """Feed packets, each preceded by a length byte, as if they came from the association's peer."""
    ends = SctpAssociation(), SctpAssociation()
    for end in ends:
        end.start(0)
    for now in range(6):
        for end, other in (ends, ends[::-1]):
            for packet in end.packets_to_send():
                other.receive(packet, now)
    end = ends[0]
    end.send(SctpMessage(0, 53, bytes(5000)), 10)
    tag = end._library._local_verification_tag.to_bytes(4, "big")
    now, at = 10, 0
    while at < len(data):
        packet = data[at + 1 : at + 1 + data[at]]
        at, now = at + 1 + data[at], now + 100_000_000
        packet = packet[:4] + tag + bytes(4) + packet[12:]
        end.receive(packet[:8] + crc32c(packet).to_bytes(4, "little") + packet[12:], now)
        end.handle_timer(now)
    assert end.close_reason in ("", "aborted", "protocol_error")
    assert end.buffered in (0, 5000)
    if end.close_reason == "protocol_error":
        raise ValueError(end.close_reason)


def fuzz_data_message(data: bytes) -> None:
    assert data_message.serialize(data_message.parse(data)) == data


def fuzz_tcp_framing(data: bytes) -> None:
    """The same frames, at once and byte by byte."""
    deframer = Deframer()
    assert Deframer().feed(data) == [frame for byte in data for frame in deframer.feed(bytes([byte]))]


def _livekit_session() -> LiveKitSession:
    """Return the session of somebody who is in a room with somebody else, whom it sees."""
    session = LiveKitSession(LiveKitAdmission(room_name="Room"))
    people = [ParticipantInfo(participant=who, name=who, identity=who) for who in ("me", "other")]
    track = TrackInfo(track="t-1", participant="other", source=Source.CAMERA, media="video", codec="VP8")
    session.tell(
        RoomInfo(
            v=1,
            room="r",
            participant="me",
            grants=Grants(),
            resume="",
            participants=people,
            tracks=[track],
            recording=RecordingState(active=False),
            captions=CaptionsState(available=False),
            opened_at=0,
            now=0,
        )
    )
    return session


def fuzz_livekit_requests(data: bytes) -> None:
    """Requests of one session, each after two bytes of its length; as many as are refused do not end it."""
    session, refused, offset = _livekit_session(), 0, 0
    while offset + 2 <= len(data):
        size = int.from_bytes(data[offset : offset + 2], "big")
        try:
            session.receive(data[offset + 2 : offset + 2 + size])
        except Refused as error:
            assert not error.fatal
            refused += 1
        offset += 2 + size
    if refused:
        raise ValueError("a request was refused")


def fuzz_livekit_packets(data: bytes) -> None:
    session = _livekit_session()
    message = session.read_data(data)
    if message is not None:
        session.chat_of(message)
        session.write_data(DataMessage(message.payload, message.topic, ("other",)), reliable=True)


def fuzz_livekit_join(data: bytes) -> None:
    """The query of a join request, wrapped as it is on the wire."""
    text = base64.urlsafe_b64encode(data).decode()
    join = parameters.read(urlencode({"access_token": "t", "join_request": text}), needs_join=True).join
    assert join is not None
    session = _livekit_session()
    for request in session.opening(join):
        try:
            session.take(request)
        except Refused as error:
            raise ValueError(str(error)) from error


def fuzz_sip(data: bytes) -> None:
    """Messages from a peer, in a stream, to a user agent with a call of each kind. Nothing raises, all is bounded."""
    agent = UserAgent(lambda _: ("192.0.2.1", 5060))
    flow = Flow("tcp", "192.0.2.2", 5060)
    agent.dial("sip:1@192.0.2.2", flow, "sip:2@192.0.2.1", "v=0", 0)
    for message in StreamFraming().push(data)[:4]:
        agent.receive(message, flow, 1)
        while agent.events:
            match agent.events.popleft():
                case Invited(dialog=dialog, offer=offer):
                    with contextlib.suppress(Unacceptable):
                        description.answer(description.take_offer(offer), "192.0.2.1", 4000, 1, 1)
                    agent.answer(dialog, "v=0", 2)
                case Offered(dialog=dialog):
                    agent.accept_offer(dialog, "v=0", 2)
                case _:
                    pass
        agent.handle_timer(3)
        assert len(agent.output) < 100


def fuzz_sip_media(data: bytes) -> None:
    """Datagrams to a phone's port, each after its length in two bytes."""
    leg = RtpLeg(PhoneStream(PhoneCodec.G722, 9, 101, "192.0.2.2", 4000), 0)
    position = at = 0
    while position + 2 <= len(data) and at < 12:
        size = int.from_bytes(data[position : position + 2], "big")
        leg.receive(data[position + 2 : position + 2 + size], ("192.0.2.2", 4000), at * 0.02)
        position += 2 + size
        samples = leg.pull(at * 0.02)
        assert samples is None or len(samples) == leg.frame
        at += 1


TARGETS: dict[str, Callable[[bytes], None]] = {
    "rtp": fuzz_rtp,
    "rtcp": fuzz_rtcp,
    "stun": fuzz_stun,
    "header_extensions": fuzz_header_extensions,
    "dependency_descriptor": fuzz_dependency_descriptor,
    "vp8": fuzz_vp8,
    "vp9": fuzz_vp9,
    "h264": fuzz_h264,
    "av1": fuzz_av1,
    "opus": fuzz_opus,
    "red": fuzz_red,
    "frames": fuzz_frames,
    "sdp": fuzz_sdp,
    "dtls_records": fuzz_dtls_records,
    "sink_records": fuzz_sink_records,
    "sctp": fuzz_sctp,
    "sctp_association": fuzz_sctp_association,
    "data_message": fuzz_data_message,
    "tcp_framing": fuzz_tcp_framing,
    "livekit_requests": fuzz_livekit_requests,
    "livekit_packets": fuzz_livekit_packets,
    "livekit_join": fuzz_livekit_join,
    "sip": fuzz_sip,
    "sip_media": fuzz_sip_media,
}
