"""Telephones in simulated time, with the transcoder's code beside the node: mutes, ends, and unrelated sound."""

from collections.abc import Iterator

import pytest

from sfu.api import signaling
from sfu.api.desired_state import DesiredState
from sfu.api.join_token import Grants, Source
from sfu.api.plain_transport import PlainTrack, ReceiveTransport, SendTransport
from sfu.api.refusal import Refused
from sfu.formats.codecs import Codec
from sfu.formats.rtp import RtpPacket, parse, serialize
from sfu.peers.publish.plain_publish_peer import PlainPublishPeer
from sfu.rooms import plain_transports
from sfu.transcoding import records
from sfu.transcoding.records import Converted
from sfu.transcoding.worker import Transcoder
from tests.sfu.rooms.stage import AUDIO, MS, SECOND, Stage, publish, subscribe
from tests.sfu.rooms.test_plain_transports import IN, OUT, RECEIVER, SENDER, Wire, put, wire
from tests.sfu.transcoding.sound import TONE, heard, pitch, spoken

PHONE = PlainTrack(source=Source.MICROPHONE, codec="PCMU", payload_type=0)


class Exchange:
    """A stage whose node has a transcoder."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.node = self.stage.node
        self.node.transcoding.is_on = True
        self.transcoder = Transcoder()
        self.node.transcoder_began(self.stage.now)

    def convert(self) -> None:
        """Let the transcoder do its pending work."""
        now, waiting = self.stage.now, self.node.transcoding.records
        while waiting:
            for said in self.transcoder.take(records.encode(waiting.popleft()), now):
                assert isinstance(said, Converted)
                self.node.converted(said.conversion, said.rtp, now)
        self.node.settle(now)
        self.stage.deliver()

    def dial_in(self, *tracks: PlainTrack) -> PlainPublishPeer:
        wish = ReceiveTransport(participant="tel", tracks=tracks or (PHONE,))
        plain_transports.open_transport(self.node, "r", wish, IN, self.stage.now)
        self.convert()
        found = self.node.rooms["r"].participants["tel"].publish
        assert isinstance(found, PlainPublishPeer)
        return found

    def ring(self, number: int = 0, codec: str = "PCMA") -> Wire:
        """Have Ann's sound sent to a telephone."""
        port = RECEIVER[1] + number
        wish = SendTransport(
            participant=f"ear-{number}", of="ann", source=Source.MICROPHONE, codec=codec, address=RECEIVER[0], port=port
        )  # type: ignore[arg-type]
        plain_transports.open_transport(self.node, "r", wish, OUT, self.stage.now)
        self.convert()
        return wire(self.stage, (RECEIVER[0], port))

    def hear(self, packets: Iterator[bytes], count: int) -> None:
        """Let the telephone that dialled in speak so many packets."""
        for _ in range(count):
            put(self.stage, SENDER, next(packets))
            self.convert()
            self.stage.run(20 * MS)
            self.convert()

    def close(self) -> None:
        for listed in plain_transports.infos(self.node.rooms["r"]):
            plain_transports.close_transport(self.node, "r", listed.transport, self.stage.now)
        self.convert()


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


def test_others_see_an_opus_track_and_hear_the_telephone(exchange: Exchange) -> None:
    ann = exchange.stage.join("ann")
    hearing = subscribe(exchange.stage, ann)
    exchange.dial_in()
    track = ann.last(signaling.TrackPublished).track
    assert (track.codec, track.source, track.participant) == ("opus", Source.MICROPHONE, "tel")
    exchange.hear(spoken(Codec.G711_ULAW, 100, 0), 100)
    assert len(hearing.rtp) == 100
    assert pitch(heard(Codec.OPUS, map(serialize, hearing.rtp))[24_000:], 48_000) == pytest.approx(TONE, abs=2)
    assert ann.last(signaling.Speakers).speakers[0].participant == "tel"


def test_a_host_mutes_a_telephone_and_removes_it(exchange: Exchange) -> None:
    ann = exchange.stage.join("ann")
    hearing, packets = subscribe(exchange.stage, ann), spoken(Codec.G711_ULAW, 200, 0)
    exchange.dial_in()
    exchange.hear(packets, 20)
    muted = DesiredState(room="r", version=1, participants={"tel": Grants(muted=(Source.MICROPHONE,))})
    exchange.node.apply(muted, exchange.stage.now)
    before = len(hearing.rtp)
    exchange.hear(packets, 20)
    assert len(hearing.rtp) == before > 0
    assert ann.last(signaling.TrackMuted).by_host
    audible = DesiredState(room="r", version=2, participants={"tel": Grants()})
    exchange.node.apply(audible, exchange.stage.now)
    exchange.hear(packets, 20)
    assert len(hearing.rtp) == before + 20
    exchange.node.apply(DesiredState(room="r", version=3, removed=("tel",)), exchange.stage.now)
    exchange.convert()
    assert ann.last(signaling.TrackUnpublished)
    assert not len(exchange.node.transcoding)


def test_telephones_of_several_codecs_hear_the_same_track(exchange: Exchange) -> None:
    stage = exchange.stage
    sender = publish(stage, stage.join("ann"), [AUDIO])
    phones = [exchange.ring(number, codec) for number, codec in enumerate(("PCMU", "PCMA", "G722", "PCMU"))]
    for rtp in spoken(Codec.OPUS, 60, 111, ssrc=1001):
        sender.send(parse(rtp))
        stage.run(20 * MS)
        exchange.convert()
    assert [{packet.payload_type for packet in phone.rtp} for phone in phones] == [{0}, {8}, {9}, {0}]
    assert all(len(phone.rtp) == 60 for phone in phones)
    assert exchange.node.context.engine.counters["datagrams_in"] < 200


def test_what_is_converted_follows_the_publisher_and_ends_with_the_transport(exchange: Exchange) -> None:
    stage = exchange.stage
    stage.join("bob")
    ann = stage.join("ann")
    phone = exchange.ring()
    assert not len(exchange.node.transcoding)  # there is nothing to convert yet
    sender = publish(stage, ann, [AUDIO])
    assert len(exchange.node.transcoding) == 1
    packets = spoken(Codec.OPUS, 200, 111, ssrc=1001)

    def speak() -> int:
        before = len(phone.rtp)
        for _ in range(20):
            sender.send(parse(next(packets)))
            stage.run(20 * MS)
            exchange.convert()
        return len(phone.rtp) - before

    assert speak() == 20
    (track,) = stage.node.rooms["r"].uptracks
    stage.say(ann, signaling.Unpublish(track=track))
    exchange.convert()
    assert not len(exchange.node.transcoding)
    assert speak() == 0
    stage.say(ann, signaling.Leave())
    sender = publish(stage, stage.join("ann"), [AUDIO])
    assert speak() == 20
    exchange.close()
    assert not len(exchange.node.transcoding)
    assert speak() == 0
    assert set(stage.node.rooms["r"].participants) == {"ann", "bob"}


def test_a_new_transcoder_goes_on_where_the_old_one_was_lost(exchange: Exchange) -> None:
    ann = exchange.stage.join("ann")
    hearing, packets = subscribe(exchange.stage, ann), spoken(Codec.G711_ULAW, 300, 0)
    exchange.dial_in()
    exchange.hear(packets, 50)
    exchange.node.transcoding.ended()
    exchange.hear(packets, 50)
    assert len(hearing.rtp) == 50
    assert exchange.node.transcoding.drops["gone"] == 50
    exchange.transcoder = Transcoder()
    exchange.node.transcoder_began(exchange.stage.now)
    exchange.hear(packets, 50)
    assert len(hearing.rtp) == 100
    assert len({packet.ssrc for packet in hearing.rtp}) == 1
    pause = hearing.rtp[50].timestamp - hearing.rtp[49].timestamp & 0xFFFF_FFFF
    assert pause == pytest.approx(51 * 960, abs=2 * 960)
    assert (hearing.rtp[50].seq - hearing.rtp[49].seq) & 0xFFFF <= 2


def test_a_sender_that_starts_anew_is_heard_again(exchange: Exchange) -> None:
    hearing = subscribe(exchange.stage, exchange.stage.join("ann"))
    exchange.dial_in()
    exchange.hear(spoken(Codec.G711_ULAW, 50, 0), 50)
    exchange.hear(spoken(Codec.G711_ULAW, 50, 0, ssrc=8, first=5000), 50)
    assert len(hearing.rtp) == 100


def test_keys_pressed_on_a_telephone_reach_nobody(exchange: Exchange) -> None:
    hearing = subscribe(exchange.stage, exchange.stage.join("ann"))
    publisher, packets = exchange.dial_in(), spoken(Codec.G711_ULAW, 50, 0)
    exchange.hear(packets, 10)
    event = serialize(RtpPacket(101, 10, 1600, 7, b"\x05\x0a\x00\xa0"))  # RFC 4733
    exchange.hear(iter([event]), 1)
    next(packets)
    exchange.hear(packets, 30)
    assert {packet.payload_type for packet in hearing.rtp} == {111}
    assert len(publisher.streams) == 1


def test_a_picture_does_not_leave_by_telephone(exchange: Exchange) -> None:
    out = {"participant": "x", "of": "ann", "source": Source.CAMERA, "address": RECEIVER[0], "port": RECEIVER[1]}
    wish = SendTransport(codec="PCMU", **out)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="Video cannot be sent as PCMU"):
        plain_transports.open_transport(exchange.node, "r", wish, OUT, exchange.stage.now)


@pytest.mark.parametrize(("codec", "payload_type"), [("PCMU", 8), ("PCMA", 0), ("G722", 0), ("opus", 9)])
def test_a_payload_type_of_another_codec_is_refused(exchange: Exchange, codec: str, payload_type: int) -> None:
    track = PlainTrack(source=Source.MICROPHONE, codec=codec, payload_type=payload_type)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="Payload types must be distinct"):
        exchange.dial_in(track)


def test_transports_are_listed_as_they_are_on_the_wire(exchange: Exchange) -> None:
    publish(exchange.stage, exchange.stage.join("ann"), [AUDIO])
    publisher = exchange.dial_in()
    exchange.ring(codec="G722")
    exchange.hear(spoken(Codec.G711_ULAW, 50, 0), 5)
    exchange.stage.run(SECOND)
    incoming, outgoing = sorted(plain_transports.infos(exchange.node.rooms["r"]), key=lambda info: info.direction)
    assert (incoming.tracks[0].payload_type, incoming.tracks[0].ssrc, incoming.tracks[0].packets) == (0, 7, 5)
    assert incoming.tracks[0].track in {uptrack.track for uptrack in publisher.uptracks.values()}
    assert "a=rtpmap:0 PCMU/8000" in incoming.sdp
    assert "a=rtpmap:9 G722/8000" in outgoing.sdp
