"""Repairs of a picture are asked for in proportion to what arrives of it."""

import pytest

from sfu.formats.codecs import Codec
from sfu.formats.rtcp import Nack, PictureLoss
from sfu.machines.repair.nack import GiveUp, NackGenerator
from sfu.peers.publish.ingress_stream import IngressStream
from tests.sfu.peers.publish.test_own_losses import MS, come

PACKET_NS = 10 * MS


def _asked(codec: Codec, lost_of_ten: int, packets: int = 2000) -> tuple[int, int, int]:
    """Lose some of each ten packets, and all repairs; return the losses, repairs and keyframes asked for."""
    stream = IngressStream(1, 1, codec, 90_000)
    lost = repairs = keyframes = 0
    for number in range(packets):
        now = number * PACKET_NS
        if number % 10 < 10 - lost_of_ten:
            come(stream, number, now)
        else:
            lost += 1
        for said in stream.feedback(1, now):
            repairs += len(said.seqs) if isinstance(said, Nack) else 0
            keyframes += isinstance(said, PictureLoss)
    return lost, repairs, keyframes


def test_a_flooded_uplink_is_asked_for_half_of_what_it_carries() -> None:
    lost, repairs, keyframes = _asked(Codec.VP8, lost_of_ten=6)
    assert lost == 1200
    assert repairs == pytest.approx(96 + 800 / 2, abs=3)
    assert keyframes > 0  # what is never repaired is given up


def test_each_loss_is_asked_for_several_times_if_few_are_lost() -> None:
    lost, repairs, _ = _asked(Codec.VP8, lost_of_ten=1)
    assert repairs > 3 * lost


def test_sound_is_asked_for_however_much_is_lost() -> None:
    lost, repairs, _ = _asked(Codec.OPUS, lost_of_ten=6)
    assert repairs > 3 * lost


def test_what_may_not_be_asked_for_is_given_up_in_time() -> None:
    nack = NackGenerator(max_age=100 * MS)
    nack.received(0, 0)
    nack.received(5, 0)
    assert nack.due(50 * MS, 0, most=0) == []
    assert nack.due(150 * MS, 0, most=0) == []
    assert [(lost.packets, lost.reason) for lost in nack.given_up()] == [(4, GiveUp.AGE)]
