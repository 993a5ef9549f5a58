"""Spatial layers of one stream (VP9, captured from Chromium): by the size shown and by the link's capacity."""

from collections.abc import Iterator

import pytest

from sfu.api import signaling, signaling_values
from sfu.api.facts import QualityMeasured
from sfu.api.join_token import Source
from sfu.formats import vp9
from sfu.formats.codecs import Codec
from sfu.formats.rtp import RtpPacket, parse
from sfu.peers.layers.layer_options import ALL_LAYERS, Layer, layers_of, options_of, share_of, up_to
from sfu.peers.publish.ingress_stream import IngressStream
from sfu.rooms import statistics
from tests.sfu.rooms.cascaded import HOME, Pair
from tests.sfu.rooms.stage import (
    MS,
    VIDEO,
    VIDEO_SSRC,
    RtcClient,
    Stage,
    description,
    generate_credentials,
    subscribe,
)
from tests.support.captures import captured

SECTION = VIDEO.replace("VP8/90000", "VP9/90000") + VIDEO_SSRC


class LayeredCall:
    """Ann publishes two layers in one stream (of three asked for Chromium makes two of 360 lines), Bob watches."""

    def __init__(self, far: Pair | None = None) -> None:
        self.stage = far.near if far is not None else Stage()
        self.ann = far.ann if far is not None else self.stage.join("ann")
        self.watched = far.far if far is not None else self.stage
        self.bob = far.bob if far is not None else self.stage.join("bob")
        self._pass = far.run if far is not None else self.stage.run
        local = generate_credentials()
        tracks = [signaling_values.OfferedTrack(mid="0", source=Source.CAMERA, codec="VP9", scalability="L2T3_KEY")]
        sdp = description(local, [SECTION], "actpass")
        self.stage.say(self.ann, signaling.Offer(peer="publish", sdp=sdp, id=1, tracks=tracks))
        answer = self.ann.last(signaling.Answer)
        self.track = answer.tracks[0].track
        self.sender = self.stage.connect(local, answer.sdp)
        self._pass(200 * MS)
        self.receiver = subscribe(self.watched, self.bob)
        self._pass(200 * MS)
        self.receiver = subscribe(self.watched, self.bob, self.receiver)
        self.packets = _packets()

    def flow(self, packets: int = 600) -> set[int]:
        """Send so much; return the spatial layers that came of the latter half."""
        for number in range(packets):
            if number == packets // 2:
                self.receiver.rtp.clear()
            self.sender.send(next(self.packets))
            self._pass(5 * MS, 5 * MS)
        return spatial_of(self.receiver)

    def wish(self, width: int, height: int) -> None:
        wanted = signaling_values.WantedTrack(track=self.track, width=width, height=height)
        self.watched.say(self.bob, signaling.Subscribe(tracks=[wanted]))


def _packets() -> Iterator[RtpPacket]:
    """The capture again and again, each time from its keyframe on."""
    capture = [parse(data) for data in captured("chromium-vp9-l3t3-key")]
    span = (capture[-1].timestamp - capture[0].timestamp + 3000) & 0xFFFFFFFF
    for turn in range(1000):
        for packet in capture:
            yield packet._replace(
                payload_type=120,
                ssrc=2001,
                seq=(packet.seq + turn * len(capture)) & 0xFFFF,
                timestamp=(packet.timestamp + turn * span) & 0xFFFFFFFF,
                extensions=(),
            )


def spatial_of(receiver: RtcClient) -> set[int]:
    return {vp9.parse(packet.payload).spatial_layer or 0 for packet in receiver.rtp if packet.payload}


def test_the_size_shown_decides_on_the_layers() -> None:
    call = LayeredCall()
    assert call.flow() == {0, 1}
    call.wish(320, 180)
    assert call.flow() == {0}
    call.wish(1280, 720)
    assert call.flow() == {0, 1}


def test_a_choice_of_layers_holds_and_what_is_carried_is_told() -> None:
    call = LayeredCall()
    assert call.flow() == {0, 1}
    subscribe_peer = call.bob.membership.participant.subscription.subscribe_peer  # type: ignore[union-attr]
    (shown,) = [downtrack for downtrack in subscribe_peer.downtracks.values() if downtrack.uptrack is not None]
    assert shown.layer_name == "L2T3"
    shown.wanted_layer = Layer(0, 1)
    assert call.flow() == {0}
    assert {vp9.parse(packet.payload).temporal_layer for packet in call.receiver.rtp} == {0, 1}
    assert shown.layer_name == "L1T2"
    assert (
        statistics.of_room(call.stage.node.rooms["r"], call.stage.now)[1]["subscribe"]["tracks"][0]["layer"] == "L1T2"
    )
    shown.wanted_layer = ALL_LAYERS
    assert call.flow() == {0, 1}
    call.stage.say(call.ann, signaling.Leave())
    (said,) = [fact for fact in call.stage.facts if isinstance(fact, QualityMeasured)]
    assert [track.layer for track in said.tracks] == ["L2T3"]


def test_only_the_layers_that_are_shown_cross_to_another_node() -> None:
    pair = Pair()
    pair.link()
    call = LayeredCall(pair)
    assert call.flow() == {0, 1}
    pair.crossed.clear()
    call.flow(200)
    whole = sum(map(len, pair.rtp_from(HOME)))
    call.wish(320, 180)
    assert call.flow() == {0}
    call.flow(2000)  # hidden tracks are kept for 10 s
    pair.crossed.clear()
    assert call.flow(200) == {0}
    assert sum(map(len, pair.rtp_from(HOME))) < whole / 2
    call.wish(1280, 720)
    assert call.flow(400) == {0, 1}


def test_what_is_shown_stays_in_order_and_whole() -> None:
    call = LayeredCall()
    call.wish(320, 180)
    call.flow()
    seqs = [packet.seq for packet in call.receiver.rtp]
    assert seqs == [(seqs[0] + index) & 0xFFFF for index in range(len(seqs))]
    ends = [packet for packet in call.receiver.rtp if packet.marker]
    assert len(ends) == len({packet.timestamp for packet in call.receiver.rtp})


@pytest.mark.parametrize(
    ("codec", "mode", "layers"),
    [
        (Codec.VP9, "L3T3_KEY", (3, 3)),
        (Codec.VP9, "L2T1", (2, 1)),
        (Codec.VP9, "L1T3", (1, 3)),
        (Codec.VP9, "S3T3", (1, 1)),
        (Codec.VP9, "", (1, 1)),
        (Codec.VP8, "L1T3", (1, 3)),
        (Codec.VP8, "L3T2", (1, 2)),
        (Codec.AV1, "L3T3", (3, 3)),
        (Codec.VP9, "L9T3_KEY", (1, 1)),
    ],
)
def test_layers_by_mode(codec: Codec, mode: str, layers: tuple[int, int]) -> None:
    assert layers_of(codec, mode) == layers


def test_options_up_to_a_layer_cost_what_they_carry() -> None:
    only = IngressStream(1, 1, Codec.VP9, 90_000)
    layers = Layer(3, 3)
    options = up_to(options_of([only], layers), layers, Layer(1, 1))
    assert [option.layer for option in options] == [Layer(0, 1), Layer(1, 1)]
    assert [option.share for option in options] == [share_of(layers, option.layer) for option in options]


def test_shares_rise_to_the_whole() -> None:
    for count in (1, 2, 3):
        for layers in (Layer(count, 1), Layer(1, count)):
            shares = [share_of(layers, Layer(layer, layer)) for layer in range(count)]
            assert shares == sorted(shares)
            assert shares[-1] == share_of(layers, ALL_LAYERS) == 1
