"""Keyframe requests to a publisher whose uplink loses most of each keyframe."""

from sfu.engine.contract import ArrivalFlag
from sfu.formats.codecs import Codec
from sfu.formats.rtcp import PictureLoss
from sfu.peers.publish.ingress_stream import IngressStream
from tests.sfu.peers.publish.test_own_losses import MS, come

FIRST_SEQ = 30_000


def keyframe(stream: IngressStream, begin: int, arrive: int, at: int) -> None:
    """Let every `arrive`th packet of a keyframe of 60 come within 60 ms."""
    for place in range(0, 60, arrive):
        come(stream, begin + place, at + place * MS, ArrivalFlag(0) if place else ArrivalFlag.KEYFRAME)


def plis(stream: IngressStream, since: int, until: int) -> list[int]:
    """Return when it asked for a keyframe, in ms, if somebody wants one all the time."""
    asked = []
    for now in range(since, until, 10):
        stream.request_keyframe(now * MS)
        if any(isinstance(packet, PictureLoss) for packet in stream.feedback(1, now * MS)):
            asked.append(now)
    return asked


def test_few_keyframes_are_asked_for_while_most_of_each_is_lost() -> None:
    stream = IngressStream(1, 1, Codec.VP8, 90_000, nacks=False)
    keyframe(stream, FIRST_SEQ, 4, 0)
    assert plis(stream, 100, 7000) == [100, 3100, 6100]


def test_keyframes_are_asked_for_as_often_as_ever_if_little_is_lost() -> None:
    stream = IngressStream(1, 1, Codec.VP8, 90_000, nacks=False)
    keyframe(stream, FIRST_SEQ, 1, 0)
    assert plis(stream, 100, 1700) == [100, 600, 1100, 1600]


def test_keyframes_are_asked_for_often_again_seconds_after_one_arrived_whole() -> None:
    """One that arrives by luck does not mean that the next will."""
    stream = IngressStream(1, 1, Codec.VP8, 90_000, nacks=False)
    keyframe(stream, FIRST_SEQ, 4, 0)
    assert plis(stream, 100, 1000) == [100]
    keyframe(stream, FIRST_SEQ + 60, 1, 1000 * MS)
    assert plis(stream, 1100, 5000) == [3100, 3990, 4490, 4990]


def test_a_stream_without_a_keyframe_yet_asks_often() -> None:
    stream = IngressStream(1, 1, Codec.VP8, 90_000, nacks=False)
    come(stream, FIRST_SEQ, 0)
    assert plis(stream, 100, 700) == [100, 600]
