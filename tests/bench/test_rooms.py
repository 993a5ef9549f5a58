"""The crowd of `python -m bench rooms`: what was recorded, and that rooms of it work at a real sfu."""

import asyncio

import pytest

from bench.light.crowd import Crowd, Shape
from bench.light.library import LightClient
from bench.light.recording import RIDS, evenly, recording
from bench.rooms import Meter
from bench.sfu_process import running_sfu
from tests.support.waiting import until

RATES = {"q": 150_000, "h": 500_000, "f": 1_700_000}


def test_each_layer_was_recorded_at_about_its_rate() -> None:
    recorded = recording()
    for layer, rid in enumerate(RIDS):
        size = sum(sum(burst.sizes) for burst in recorded.bursts if burst.layer == layer)
        assert size * 8e9 / recorded.period_ns == pytest.approx(RATES[rid], rel=0.15)


def test_frames_of_a_recording_are_whole_and_a_keyframe_is_larger() -> None:
    recorded = recording()
    for layer in range(len(RIDS)):
        own = [burst for burst in recorded.bursts if burst.layer == layer]
        assert [burst.begins for burst in own[1:]] == [burst.ends for burst in own[:-1]]
        frames = sum(burst.begins for burst in own)
        mean = sum(sum(burst.sizes) for burst in own) / frames
        assert sum(sum(burst.sizes) for burst in recorded.key if burst.layer == layer) > 3 * mean
    assert all(burst.at_ns <= later.at_ns for burst, later in zip(recorded.bursts, recorded.bursts[1:], strict=False))


def test_even_frames_keep_their_distance() -> None:
    recorded = evenly([[100], [200, 201]], 10)
    assert recorded.period_ns == 20
    assert [(burst.at_ns, burst.sizes, burst.begins, burst.ends) for burst in recorded.bursts] == [
        (0, (100,), True, True),
        (10, (200, 201), True, True),
    ]


@pytest.mark.parametrize("text", ["", "4", "4x1", "0x4", "ax4", "4x4x4"])
def test_what_is_no_shape_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="as 16x4"):
        Shape.parse(text)


def test_a_shape_is_read() -> None:
    assert Shape.parse("100x4") == Shape(100, 4)


async def test_everybody_in_a_room_receives_everybody_at_the_sizes_shown() -> None:
    with running_sfu() as sfu:
        client = LightClient()
        crowd = Crowd(client, sfu, Shape(2, 3))
        try:
            await crowd.enter()
            crowd.begin()
            await asyncio.to_thread(until, lambda: all(client.received(one.peer) > 200 for one in crowd.people), 60)
            assert [one.wanted_layers() for one in crowd.people] == [[0, 2]] * 6
            for one in crowd.people:
                assert all(client.packets_sent(source) for source in (one.microphone, *one.layers))
            stretch = Meter([crowd]).read()
            assert stretch.resident > 0
            totals = client.totals()
            assert totals.audio > 0
            assert totals.video > totals.audio
            assert totals.unauthentic == totals.unexpected == 0
        finally:
            await crowd.leave()
            client.close()


async def test_who_speaks_is_shown_large_by_the_others() -> None:
    with running_sfu() as sfu:
        client = LightClient()
        crowd = Crowd(client, sfu, Shape(1, 3))
        try:
            await crowd.enter()
            crowd.begin()
            (room,) = crowd.rooms.values()
            room[0].speak(loud=False)
            room[2].speak(loud=True)
            await asyncio.to_thread(until, lambda: all(one.large == room[2].participant for one in room[:2]), 60)
        finally:
            await crowd.leave()
            client.close()


async def test_links_that_lose_are_repaired() -> None:
    with running_sfu() as sfu:
        client = LightClient()
        crowd = Crowd(client, sfu, Shape(1, 2), loss=0.05, lossy_share=1.0)
        try:
            await crowd.enter()
            crowd.begin()
            await asyncio.to_thread(
                until, lambda: client.totals().repairs_sent > 0 and client.totals().repaired > 0, 60
            )
        finally:
            await crowd.leave()
            client.close()
