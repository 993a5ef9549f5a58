"""Plain transports in simulated time: the accepted sender, reports, repairs, keyframes, moderation."""

from collections.abc import Callable

import pytest

from sfu.api import signaling
from sfu.api.desired_state import DesiredState
from sfu.api.join_token import Grants, Source
from sfu.api.plain_transport import PlainTrack, ReceiveTransport, SendTransport
from sfu.api.refusal import Code, Refused
from sfu.engine.contract import Datagram
from sfu.formats import rtcp
from sfu.formats.rtp import RtpPacket, is_rtcp, parse, serialize
from sfu.peers.local_endpoint import LocalEndpoint
from sfu.peers.publish.plain_publish_peer import PlainPublishPeer
from sfu.rooms import plain_transports
from tests.sfu.rooms.stage import AUDIO, DELTA, KEYFRAME, MS, SECOND, VIDEO, VIDEO_SSRC, Stage, audio, publish, video

IN = LocalEndpoint(3, 4, "192.0.2.1", 40_000, 40_001, own=True)
OUT = LocalEndpoint(7, 7, "192.0.2.1", 50_000, 50_000)
CAMERA = PlainTrack(source=Source.CAMERA, codec="VP8", payload_type=96)
MICROPHONE = PlainTrack(source=Source.MICROPHONE, codec="opus", payload_type=97)
SENDER, OTHER = ("198.51.100.1", 6000), ("198.51.100.2", 7000)
RECEIVER = ("203.0.113.9", 5004)


class Wire:
    """The wire from a stage to one far end, with the socket it leaves from as the engine's contract has it."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    def receive(self, data: bytes, now: int) -> None:
        self.got.append(data)

    def datagrams_to_send(self, now: int) -> list[bytes]:
        return []

    def handle_timer(self, now: int) -> None:
        pass

    @property
    def rtp(self) -> list[RtpPacket]:
        return [parse(data) for data in self.got if not is_rtcp(data)]

    def of(self, kind: type) -> list[rtcp.Packet]:
        packets = [packet for data in self.got if is_rtcp(data) for packet in rtcp.parse(data)]
        return [packet for packet in packets if isinstance(packet, kind)]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def wire(stage: Stage, address: tuple[str, int]) -> Wire:
    made = stage.clients[address] = Wire()  # type: ignore[assignment]
    return made  # type: ignore[return-value]


def receive(stage: Stage, **fields: object) -> PlainPublishPeer:
    wish = ReceiveTransport(**{"participant": "cam", "tracks": (CAMERA, MICROPHONE)} | fields)  # type: ignore[arg-type]
    plain_transports.open_transport(stage.node, "r", wish, IN, stage.now)
    found = stage.node.rooms["r"].participants["cam"].publish
    assert isinstance(found, PlainPublishPeer)
    return found


def put(stage: Stage, source: tuple[str, int], *packets: bytes, local: int = 3) -> None:
    batch = [Datagram(data, source, local, stage.now) for data in packets]
    result = stage.node.context.engine.process(batch, stage.now)
    stage.node.context.outbox.datagrams += result.outgoing
    stage.node.receive(result, stage.now)
    stage.deliver()


def picture(seq: int, ssrc: int = 5, payload: bytes = DELTA) -> bytes:
    return serialize(RtpPacket(96, seq, seq * 3000, ssrc, payload, True))


def sound(seq: int, ssrc: int = 6) -> bytes:
    return serialize(RtpPacket(97, seq, seq * 960, ssrc, b"opus"))


def test_whoever_comes_first_is_the_sender_until_there_is_silence(stage: Stage) -> None:
    publish_peer = receive(stage)
    camera, microphone = publish_peer.uptracks.values()
    put(stage, SENDER, picture(1, payload=KEYFRAME))
    put(stage, OTHER, sound(1))  # a track may come from a port of its own
    assert [stream.ssrc for stream in camera.streams] == [5]
    assert [stream.ssrc for stream in microphone.streams] == [6]
    put(stage, ("198.51.100.66", 1), picture(2, ssrc=66))
    assert [stream.ssrc for stream in camera.streams] == [5]
    stage.run(4 * SECOND)
    put(stage, SENDER, picture(3))
    stage.run(3 * SECOND)
    put(stage, ("198.51.100.66", 1), picture(4, ssrc=66))
    assert [stream.ssrc for stream in camera.streams] == [5]
    stage.run(8 * SECOND)
    put(stage, ("198.51.100.3", 1), picture(1, ssrc=77, payload=KEYFRAME))
    assert [stream.ssrc for stream in camera.streams] == [77]


@pytest.mark.parametrize("first", ["camera", "microphone"])
def test_both_tracks_come_back_from_new_ports_whichever_comes_first(stage: Stage, first: str) -> None:
    publish_peer = receive(stage)
    camera, microphone = publish_peer.uptracks.values()
    put(stage, SENDER, picture(1, payload=KEYFRAME))
    put(stage, OTHER, sound(1))
    for start in (1, 2, 3):
        stage.run(12 * SECOND)
        pictures, sounds = (SENDER[0], 6000 + 10 * start), (OTHER[0], 7000 + 10 * start)
        begin = [(pictures, picture(1, 50 + start, KEYFRAME)), (sounds, sound(1, 60 + start))]
        for source, packet in begin if first == "camera" else reversed(begin):
            put(stage, source, packet)
        put(stage, ("198.51.100.66", 1), picture(2, ssrc=66), sound(2, ssrc=67))
        for seq in range(2, 40):  # 20 s, of which nothing is lost though nobody else is listened to
            stage.run(500 * MS)
            put(stage, pictures, picture(seq, 50 + start))
            put(stage, sounds, sound(seq, 60 + start))
        assert [(stream.ssrc, stream.packets) for stream in camera.streams] == [(50 + start, 39)]
        assert [(stream.ssrc, stream.packets) for stream in microphone.streams] == [(60 + start, 39)]


def test_one_of_two_senders_comes_back_while_the_other_goes_on(stage: Stage) -> None:
    publish_peer = receive(stage)
    camera, microphone = publish_peer.uptracks.values()
    put(stage, SENDER, picture(1, payload=KEYFRAME))
    for seq in range(1, 30):
        put(stage, OTHER, sound(seq))
        stage.run(500 * MS)
    put(stage, ("198.51.100.66", 1), sound(30, ssrc=66))  # that one never was away
    put(stage, (SENDER[0], 6010), picture(1, ssrc=55, payload=KEYFRAME))
    assert [stream.ssrc for stream in camera.streams] == [55]
    assert [stream.ssrc for stream in microphone.streams] == [6]


def test_a_sender_that_was_named_is_the_only_one(stage: Stage) -> None:
    publish_peer = receive(stage, address=SENDER[0], port=SENDER[1], tracks=(CAMERA,))
    (camera,) = publish_peer.uptracks.values()
    put(stage, OTHER, picture(1))
    assert not camera.streams
    put(stage, SENDER, picture(1))
    assert [stream.ssrc for stream in camera.streams] == [5]


def test_an_ssrc_that_was_named_is_the_only_one(stage: Stage) -> None:
    expected = PlainTrack(source=Source.CAMERA, codec="VP8", payload_type=96, ssrc=9)
    (camera,) = receive(stage, tracks=(expected,)).uptracks.values()
    put(stage, SENDER, picture(1), picture(1, ssrc=9))
    assert [stream.ssrc for stream in camera.streams] == [9]


def test_reports_and_wishes_go_to_the_port_beside(stage: Stage) -> None:
    beside = wire(stage, (SENDER[0], SENDER[1] + 1))
    receive(stage, rtcp_mux=False, tracks=(CAMERA,))
    put(stage, SENDER, picture(1, payload=KEYFRAME))
    put(stage, SENDER, picture(5))
    stage.run(2 * SECOND)
    assert beside.of(rtcp.ReceiverReport)
    nacks = beside.of(rtcp.Nack)
    assert set(nacks[0].seqs) == {2, 3, 4}  # type: ignore[attr-defined]
    report = rtcp.serialize([rtcp.SenderReport(5, 1 << 40, 3000, 2, 200)])
    arrival = stage.now
    put(stage, (SENDER[0], SENDER[1] + 1), report, local=4)
    stage.run(100 * MS)
    assert stage.node.rooms["r"].participants["cam"].publish.clock.to_own(1 << 40) == stage.node.context.ntp(arrival)


def send(stage: Stage, **fields: object) -> None:
    wish = {"participant": "out", "of": "ann", "source": Source.CAMERA, "address": RECEIVER[0], "port": RECEIVER[1]}
    plain_transports.open_transport(stage.node, "r", SendTransport(**wish | fields), OUT, stage.now)  # type: ignore[arg-type]
    stage.deliver()


def send_unvouched(stage: Stage, number: int, address: tuple[str, int] = RECEIVER) -> None:
    """Have Ann's sound sent to an address that nobody vouches for."""
    wish = SendTransport(
        participant=f"out-{number}", of="ann", source=Source.MICROPHONE, address=address[0], port=address[1] + number
    )
    plain_transports.open_transport(stage.node, "r", wish, OUT, stage.now, is_vouched_for=False)


def speaking_ann(stage: Stage) -> Callable[[int], None]:
    """Return what lets Ann speak for so many seconds."""
    sender = publish(stage, stage.join("ann"), [AUDIO])
    seqs = iter(range(100_000))

    def speak(seconds: int) -> None:
        for _ in range(50 * seconds):
            sender.send(audio(next(seqs)))
            stage.run(20 * MS)

    return speak


def test_an_address_that_wants_nothing_gets_a_second_of_it(stage: Stage) -> None:
    speak = speaking_ann(stage)
    victim = wire(stage, RECEIVER)
    send_unvouched(stage, 0)
    speak(10)
    assert 40 <= len(victim.rtp) <= 60
    assert "out-0" not in stage.node.rooms["r"].participants
    assert stage.node.context.counters["peer_receiver_unheard"] == 1


def test_however_many_transports_are_opened_to_it_a_few_seconds_of_each_minute(stage: Stage) -> None:
    speak = speaking_ann(stage)
    victims = [wire(stage, (RECEIVER[0], RECEIVER[1] + number)) for number in range(32)]
    for minute in range(2):
        refused = 0
        for number in range(32):
            try:
                send_unvouched(stage, number)
            except Refused as error:
                assert error.code is Code.TOO_MANY_REQUESTS
                refused += 1
        assert refused == 28
        assert {name for name in stage.node.rooms["r"].participants if name.startswith("out")} == {
            f"out-{number}" for number in range(4)
        }
        speak(61)
        assert sum(len(victim.rtp) for victim in victims) <= 4 * 60 * (minute + 1)


def test_who_answers_goes_on_and_may_have_more(stage: Stage) -> None:
    speak = speaking_ann(stage)
    answering = wire(stage, RECEIVER)
    for number in range(8):
        send_unvouched(stage, number)
        speak(0)
        stage.run(500 * MS)
        report = rtcp.serialize([rtcp.ReceiverReport(77, ())])
        put(stage, (RECEIVER[0], RECEIVER[1] + number), report, local=7)
        stage.run(200 * MS)
    speak(5)
    assert len(answering.rtp) == 250


def test_the_second_begins_when_there_is_something_to_answer(stage: Stage) -> None:
    ann = stage.join("ann")
    send_unvouched(stage, 0)
    stage.run(20 * SECOND)
    assert "out-0" in stage.node.rooms["r"].participants
    victim, sender = wire(stage, RECEIVER), publish(stage, ann, [AUDIO])
    for seq in range(200):
        sender.send(audio(seq))
        stage.run(20 * MS)
    assert 40 <= len(victim.rtp) <= 70
    assert "out-0" not in stage.node.rooms["r"].participants


def test_what_is_sent_is_repaired_and_reported(stage: Stage) -> None:
    far = wire(stage, RECEIVER)
    ann = stage.join("ann")
    send(stage, payload_type=100, rtx_payload_type=101, ssrc=700, rtx_ssrc=701)  # before there is anything to send
    sender = publish(stage, ann, [VIDEO + VIDEO_SSRC])
    sender.send(video(1, KEYFRAME), video(2), video(3))
    stage.run(100 * MS)
    assert [(packet.ssrc, packet.payload_type) for packet in far.rtp] == [(700, 100)] * 3
    lost = far.rtp[1]
    put(stage, RECEIVER, rtcp.serialize([rtcp.Nack(1, 700, (lost.seq,))]), local=7)
    repair = far.rtp[-1]
    assert (repair.ssrc, repair.payload_type) == (701, 101)
    assert repair.payload == lost.seq.to_bytes(2, "big") + lost.payload
    sender.send_rtcp([rtcp.SenderReport(2001, 1 << 40, 9000, 3, 300)])
    stage.run(2 * SECOND)
    assert far.of(rtcp.SenderReport)


def test_keyframes_are_asked_for_until_the_receiver_can_ask(stage: Stage) -> None:
    wire(stage, RECEIVER)
    sender = publish(stage, stage.join("ann"), [VIDEO + VIDEO_SSRC])
    send(stage, keyframe_seconds=2.0)
    sender.send(video(1, KEYFRAME))
    stage.run(SECOND)
    before = len(sender.feedback(rtcp.PictureLoss))
    for seq in range(2, 10):
        sender.send(video(seq, KEYFRAME))
        stage.run(SECOND)
    asked = len(sender.feedback(rtcp.PictureLoss)) - before
    assert 3 <= asked <= 5
    put(stage, RECEIVER, rtcp.serialize([rtcp.ReceiverReport(1, ())]), local=7)
    stage.run(SECOND)
    before = len(sender.feedback(rtcp.PictureLoss))
    stage.run(6 * SECOND)
    assert len(sender.feedback(rtcp.PictureLoss)) == before


def test_a_host_mutes_and_removes_what_comes_in(stage: Stage) -> None:
    far = wire(stage, RECEIVER)
    receive(stage, tracks=(CAMERA,))
    ann = stage.join("ann")
    send(stage, of="cam")
    put(stage, SENDER, picture(1, payload=KEYFRAME))
    assert len(far.rtp) == 1
    muted = {"cam": Grants(muted=(Source.CAMERA,))}
    stage.node.apply(DesiredState(room="r", version=1, participants=muted), stage.now)
    stage.deliver()
    assert ann.last(signaling.TrackMuted).by_host
    put(stage, SENDER, picture(2))
    assert len(far.rtp) == 1
    stage.node.apply(DesiredState(room="r", version=2, removed=("cam", "out")), stage.now)
    assert set(stage.node.rooms["r"].participants) == {"ann"}
    assert {3, 4} <= set(stage.node.context.outbox.sockets_to_shut)
    with pytest.raises(Refused):
        receive(stage)
    with pytest.raises(Refused):
        send(stage, participant="ann", of="cam")


@pytest.mark.parametrize("codec", ["PCMU", "PCMA", "G722"])
def test_sound_that_nobody_would_hear_is_refused_with_the_reason(stage: Stage, codec: str) -> None:
    """Nothing converts it; a telephone's gateway has to."""
    track = PlainTrack(source=Source.MICROPHONE, codec=codec, payload_type=97)  # type: ignore[arg-type]
    with pytest.raises(Refused, match=f"codec_unsupported: This server does not convert {codec}"):
        receive(stage, tracks=(track,))
    assert not stage.node.rooms


@pytest.mark.parametrize("payload_type", [0, 8, 9, 34, 64, 95, 128, -1])
def test_payload_types_that_mean_something_else_are_refused(stage: Stage, payload_type: int) -> None:
    taken = PlainTrack(source=Source.MICROPHONE, codec="opus", payload_type=payload_type)
    with pytest.raises(Refused, match="bad_message: Payload types must be distinct"):
        receive(stage, tracks=(taken,))
    with pytest.raises(Refused, match="bad_message: Payload types must be distinct"):
        send(stage, source=Source.MICROPHONE, payload_type=payload_type)
    assert not stage.node.rooms


def test_an_encrypted_meeting_has_none(stage: Stage) -> None:
    publish(stage, stage.join("ann"), [AUDIO]).send(audio(1))
    stage.node.apply(DesiredState(room="r", version=1, e2ee=True), stage.now)
    with pytest.raises(Refused):
        send(stage)
    assert set(stage.node.rooms["r"].participants) == {"ann"}


def test_packets_that_may_not_reach_everyone_whole_are_counted_and_told_once(stage: Stage) -> None:
    receive(stage, tracks=(CAMERA,))
    put(stage, SENDER, picture(1, payload=KEYFRAME + bytes(1200)), *(picture(seq, payload=DELTA) for seq in (2, 3)))
    put(stage, SENDER, *(picture(seq, payload=DELTA + bytes(1300)) for seq in (4, 5)))
    (info,) = plain_transports.infos(stage.node.rooms["r"])
    assert [(track.packets, track.oversize) for track in info.tracks] == [(5, 3)]
    stage.run(1100 * MS)  # told along with the next report
    assert stage.node.context.counters["packets_oversize"] == 3
    (warning,) = stage.node.context.outbox.warnings
    assert "participant cam sends packets of" in warning
