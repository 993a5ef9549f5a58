"""A shared screen on narrow links in simulated time: resolution is kept before rate, then it is paused."""

from itertools import pairwise

import pytest

from sfu.api import signaling, signaling_values
from sfu.api.join_token import Source
from sfu.formats import rtcp, vp8
from sfu.formats.codecs import Codec
from sfu.formats.rtp import RtpPacket
from sfu.machines.negotiation.subscribe import PAYLOAD_TYPES
from sfu.peers.layers.layer_options import Layer, LayerOption, keeping_resolution, layers_of, options_of, share_of
from sfu.peers.publish.ingress_stream import IngressStream
from tests.sfu.engine.table import vp8 as picture
from tests.sfu.rooms.cascaded import HOME, Pair
from tests.sfu.rooms.simulcast_call import Viewer
from tests.sfu.rooms.stage import MS, SIMULCAST, VIDEO, VIDEO_SSRC, Stage, description, generate_credentials, subscribe
from tests.support.link_model import LinkSettings

RATE = 2_000_000
FRAME_NS = 66 * MS
PATTERN = ((0, 0.4), (2, 0.2), (1, 0.2), (2, 0.2))
"""Temporal layer of a frame, and its part of what four frames cost."""
PACKET = 1000
SMALL_RATE, SMALL_SSRC = 200_000, 2003
SMALL_KEY = bytes.fromhex("10 00009d012a4001f000")


class ScreenCall:
    """Ann shares a screen in VP8 (L1T3, 15 frames a second), Bob watches it behind a link, at another node if `far`.

    With `has_small`, a layer of 200 kbps beside it has a third of the frames.
    """

    def __init__(
        self, rate: int, scalability: str = "L1T3", far: Pair | None = None, *, has_small: bool = False
    ) -> None:
        self.has_small = has_small
        self.stage = stage = far.near if far is not None else Stage()
        watched = far.far if far is not None else stage
        for each in (stage, watched):
            each.node.context.observer = each.node.context.engine  # type: ignore[assignment]  # the Python engine is one
        ann, self.bob = (far.ann, far.bob) if far is not None else (stage.join("ann"), stage.join("bob"))
        self._pass = far.run if far is not None else stage.run
        local = generate_credentials()
        tracks = [signaling_values.OfferedTrack(mid="0", source=Source.SCREEN, codec="VP8", scalability=scalability)]
        sdp = description(local, [VIDEO + (SIMULCAST if has_small else VIDEO_SSRC)], "actpass")
        stage.say(ann, signaling.Offer(peer="publish", sdp=sdp, id=1, tracks=tracks))
        self.sender = stage.connect(local, ann.last(signaling.Answer).sdp)
        self.viewer = Viewer(watched, self.bob, LinkSettings(rate=rate, delay=20 * MS))
        self._pass(200 * MS)
        subscribe(watched, self.bob, self.viewer.client)
        self._frames = self._seq = self._asked = self._small_seq = self._small_asked = self._sent = 0
        self._tl0 = 0
        self.still: set[str] = set()

    def run(self, seconds: float) -> None:
        """Share for a while; `pictures()` has the result."""
        self.viewer.client.rtp.clear()
        end = self.stage.now + int(seconds * 1000) * MS
        while self.stage.now < end:
            if self.has_small and "q" not in self.still:
                self.sender.send(*self._small_frame())
            if "f" not in self.still:
                self.sender.send(*self._frame())
            self._frames += 1
            self._pass(FRAME_NS, 3 * MS)

    def asks(self, ssrc: int) -> int:
        return sum(request.media_ssrc == ssrc for request in self.sender.feedback(rtcp.PictureLoss))

    def _labels(self, rid: str) -> tuple[tuple[int, bytes], ...]:
        """Return the extensions of the next packet."""
        self._sent += 1
        rids = ((1, b"0"), (10, rid.encode())) if self.has_small else ()
        return ((3, (self._sent & 0xFFFF).to_bytes(2, "big")), *rids)

    def _small_frame(self) -> list[RtpPacket]:
        if self._frames % 3:
            return []
        size = SMALL_RATE * 3 * FRAME_NS // 8_000_000_000
        asked = self.asks(SMALL_SSRC)
        is_key = not self._small_seq or asked > self._small_asked
        self._small_asked = asked
        head = SMALL_KEY if is_key else bytes.fromhex("1051")
        packets = []
        for at in range(0, size, PACKET):
            body = (head if at == 0 else b"\x00") + bytes(min(PACKET, size - at))
            packets.append(
                RtpPacket(
                    120, self._small_seq, self._frames * 5940, SMALL_SSRC, body, at + PACKET >= size,
                    extensions=self._labels("q"),
                )
            )  # fmt: skip
            self._small_seq += 1
        return packets

    def _frame(self) -> list[RtpPacket]:
        asked = self.asks(2001)
        is_key = not self._frames or asked > self._asked
        self._asked = asked
        temporal, part = PATTERN[self._frames % 4]
        if is_key:
            self._frames += -self._frames % 4
            temporal, part = PATTERN[0]
        self._tl0 += temporal == 0
        size = int(RATE * 4 * FRAME_NS / 1e9 / 8 * part)
        packets = []
        for at in range(0, size, PACKET):
            packet = picture(
                self._seq, self._frames * 5940, picture=self._frames, tl0=self._tl0, temporal=temporal, key=is_key,
                sync=temporal > 0, start=at == 0, marker=at + PACKET >= size, ssrc=2001,
                body=bytes(min(PACKET, size - at)),
            )  # fmt: skip
            packets.append(packet._replace(payload_type=120, extensions=self._labels("f")))
            self._seq += 1
        return packets

    @property
    def temporal_layers(self) -> set[int]:
        return {entry.temporal_layer or 0 for entry in self.pictures()}

    def pictures(self) -> list[vp8.Vp8Descriptor]:
        """Of each packet that came, for the first time."""
        kind = PAYLOAD_TYPES[Codec.VP8]
        return [vp8.parse(packet.payload) for packet in self.viewer.client.rtp if packet.payload_type == kind]

    @property
    def small_pictures(self) -> int:
        return self._count(b"\x10")

    @property
    def large_pictures(self) -> int:
        return self._count(b"\x90")

    def _count(self, first: bytes) -> int:
        """Return how many of the packets that came begin a picture of the layer with this first byte."""
        kind = PAYLOAD_TYPES[Codec.VP8]
        return sum(packet.payload_type == kind and packet.payload[:1] == first for packet in self.viewer.client.rtp)

    @property
    def paused(self) -> list[bool]:
        return [state.paused for state in self.bob.of(signaling.TrackState)]


def test_a_wide_link_gets_all_of_it() -> None:
    call = ScreenCall(6_000_000)
    call.run(8)
    call.run(3)
    assert call.temporal_layers == {0, 1, 2}
    assert call.paused == []


def test_a_narrow_link_gets_fewer_pictures_of_the_same_screen() -> None:
    call = ScreenCall(6_000_000)
    call.run(8.1)  # where the link narrows as a group of frames begins, one time in ten it is paused for a moment
    call.viewer.link.change(call.viewer.now, rate=1_200_000)
    call.run(5)
    call.run(5)  # before the next layer is tried again
    assert call.temporal_layers == {0}
    assert not any(call.paused)
    ids = [entry.picture_id or 0 for entry in call.pictures()]
    assert {(later - earlier) & 0x7FFF for earlier, later in pairwise(ids)} == {0, 1}
    call.viewer.link.change(call.viewer.now, rate=6_000_000)
    call.run(20)
    call.run(3)
    assert call.temporal_layers == {0, 1, 2}


def test_only_the_pictures_that_are_watched_cross_to_another_node() -> None:
    pair = Pair()
    pair.link()
    call = ScreenCall(6_000_000, far=pair)
    call.run(8)
    call.run(3)
    assert call.temporal_layers == {0, 1, 2}
    pair.crossed.clear()
    call.run(2)
    whole = len(pair.rtp_from(HOME))
    call.viewer.link.change(call.viewer.now, rate=1_000_000)  # too little to try the next layer
    call.run(20)
    call.run(5)
    assert call.temporal_layers == {0}
    assert call.paused[-1:] != [True]
    pair.crossed.clear()
    call.run(2)
    assert len(pair.rtp_from(HOME)) < whole * 0.5
    call.viewer.link.change(call.viewer.now, rate=6_000_000)
    call.run(20)
    call.run(3)
    assert call.temporal_layers == {0, 1, 2}


def test_a_screen_without_layers_is_all_or_nothing() -> None:
    call = ScreenCall(6_000_000, scalability="")
    call.run(8)
    call.viewer.link.change(call.viewer.now, rate=1_200_000)
    call.run(8)  # it is tried again after about nine
    assert call.paused == [True]


def test_what_was_paused_while_the_link_was_full_comes_back_though_nothing_else_is_sent() -> None:
    call = ScreenCall(6_000_000, scalability="")
    call.run(8)
    call.viewer.link.change(call.viewer.now, rate=1_200_000)
    call.run(10)
    call.viewer.link.change(call.viewer.now, rate=6_000_000)
    call.run(20)
    assert call.paused[:2] == [True, False]


def test_what_a_link_does_not_carry_is_seen_in_its_small_layer() -> None:
    call = ScreenCall(500_000, has_small=True)
    call.run(4)
    call.run(16)
    assert call.small_pictures > 16 * 4
    assert call.paused == []


def test_a_new_viewer_begins_with_the_small_layer_though_the_large_one_may_fit() -> None:
    """One picture of a large screen may be more than an unknown link carries in seconds."""
    call = ScreenCall(6_000_000, has_small=True)
    call.run(0.9)
    assert call.small_pictures
    assert not call.large_pictures
    call.run(5)
    assert call.large_pictures > 30
    call.run(5)
    assert not call.small_pictures


def test_a_screen_that_is_still_for_a_while_keeps_its_layer() -> None:
    """Its layers do not stop in the same instant."""
    call = ScreenCall(6_000_000, has_small=True)
    call.run(10)
    asked = call.asks(2001) + call.asks(SMALL_SSRC)
    for _ in range(5):
        for still, seconds in ({"f"}, 0.7), ({"q", "f"}, 2), (set[str](), 1):
            call.still = still
            call.run(seconds)
            assert not call.small_pictures
    assert call.asks(2001) + call.asks(SMALL_SSRC) == asked


def stream() -> IngressStream:
    return IngressStream(1, 1, Codec.VP8, 90_000)


def test_options_of_a_screen_lose_rate_before_resolution() -> None:
    layers = layers_of(Codec.VP9, "L3T3_KEY")
    only = stream()
    options = keeping_resolution(options_of([only], layers), layers)
    assert [option.layer for option in options] == [Layer(0, 0), Layer(1, 0), Layer(255, 0), Layer(255, 1), Layer()]
    shares = [option.share for option in options]
    assert shares == sorted(shares)
    assert shares == pytest.approx([share_of(layers, option.layer) for option in options])
    assert shares[-1] == 1


def test_a_small_layer_without_temporal_layers_is_carried_whole() -> None:
    small, large = stream(), stream()
    options = keeping_resolution(options_of([small, large], Layer(1, 3)), Layer(1, 3))
    assert options[0] == LayerOption(small)
    assert [(option.layer.temporal, option.share) for option in options[1:]] == [(0, 0.4), (1, 0.6), (255, 1.0)]


def test_options_of_what_has_no_temporal_layers_are_as_they_were() -> None:
    options = [LayerOption(stream()), LayerOption(stream())]
    assert keeping_resolution(options, Layer(1, 1)) == options
