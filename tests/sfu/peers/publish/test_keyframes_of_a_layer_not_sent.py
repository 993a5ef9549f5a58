"""Keyframe requests for a layer that its publisher does not send."""

from sfu.engine.contract import ArrivalFlag
from sfu.formats.codecs import Codec
from sfu.peers.publish.ingress_stream import IngressStream
from tests.sfu.peers.publish.test_keyframes_of_a_flooded_uplink import plis
from tests.sfu.peers.publish.test_own_losses import MS, come


def _silent() -> IngressStream:
    """A layer that was sent for a moment."""
    stream = IngressStream(1, 1, Codec.VP8, 90_000, nacks=False)
    come(stream, 1, 0, ArrivalFlag.KEYFRAME)
    come(stream, 2, 20 * MS)
    return stream


def test_keyframes_of_it_are_soon_asked_for_seldom() -> None:
    assert plis(_silent(), 100, 25_000) == [100, 600, 1100, 1600, 11_600, 21_600]


def test_they_are_asked_for_at_once_when_it_is_sent_again() -> None:
    stream = _silent()
    assert plis(stream, 100, 3000) == [100, 600, 1100, 1600]
    assert come(stream, 3, 3000 * MS, ArrivalFlag.RESUMED)
    assert plis(stream, 3000, 3600) == [3000, 3500]


def test_they_are_asked_for_often_while_the_layer_is_sent_without_any() -> None:
    stream = _silent()
    asked = []
    for seq, now in enumerate(range(100, 5000, 100), 3):
        come(stream, seq, now * MS)
        asked += plis(stream, now, now + 100)
    assert asked == list(range(100, 5000, 500))
