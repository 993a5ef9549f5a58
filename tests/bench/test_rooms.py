"""The crowd of `python -m bench rooms`: the captured traffic, and that its rooms work on a real sfu."""

import asyncio
import os
import shutil
from collections import Counter

import pytest

from bench.cpu_sources import combined, leaves, stacks
from bench.light.crowd import Crowd, Shape
from bench.light.library import LightClient
from bench.light.meeting import MeetingParticipant
from bench.light.recording import RIDS, evenly, recording
from bench.light.tiles import LARGE, SMALL, Tiles
from bench.livekit_process import LIVEKIT_SERVER
from bench.meeting_stage import meeting_stage
from bench.meter import Meter
from bench.sfu_process import running_sfu
from tests.support.waiting import until

LIVEKIT_PROGRAM = os.environ.get(LIVEKIT_SERVER) or shutil.which("livekit-server")
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
    async with meeting_stage("Parley", Shape(2, 3)) as here:
        meter = Meter(here.client, here.process, here.crowd)
        people = here.crowd.people
        await asyncio.to_thread(until, lambda: all(here.client.received(one.peer) > 200 for one in people), 60)
        assert [one.tiles.sizes() for one in people] == [[SMALL, LARGE]] * 6
        for one in people:
            assert one.performer is not None
            assert all(here.client.packets_sent(source) for source in (one.performer.microphone, *one.performer.layers))
        stretch = meter.read()
        assert stretch.resident > 0
        assert stretch.totals.audio > 0
        assert stretch.totals.video > stretch.totals.audio
        assert stretch.totals.unauthentic == stretch.totals.unexpected == 0


@pytest.mark.skipif(LIVEKIT_PROGRAM is None, reason="LiveKit's server is not here")
async def test_the_same_people_meet_at_livekits_server() -> None:
    async with meeting_stage("LiveKit", Shape(1, 3)) as here:
        people = here.crowd.people
        await asyncio.to_thread(until, lambda: all(here.client.received(one.peer) > 200 for one in people), 60)
        assert [one.tiles.sizes() for one in people] == [[SMALL, LARGE]] * 3
        totals = here.client.totals()
        assert totals.audio > 0
        assert totals.unauthentic == 0


async def test_who_speaks_is_shown_large_by_the_others() -> None:
    async with meeting_stage("Parley", Shape(1, 3)) as here:
        room = here.crowd.people
        for one in room:
            assert one.performer is not None
            one.performer.speak(loud=one is room[2])
        await asyncio.to_thread(until, lambda: all(one.tiles.large == room[2].participant for one in room[:2]), 60)


async def test_links_that_lose_are_repaired() -> None:
    with running_sfu() as sfu:
        client = LightClient()

        def make(room: str, loss: float) -> MeetingParticipant:
            return MeetingParticipant(client, sfu, room, tiles=2, loss=loss)

        crowd = Crowd(make, Shape(1, 2), loss=0.05, lossy_share=1.0)
        try:
            await crowd.enter()
            crowd.begin()
            await asyncio.to_thread(
                until, lambda: client.totals().repairs_sent > 0 and client.totals().repaired > 0, 60
            )
        finally:
            await crowd.leave()
            client.close()


def test_the_speaker_is_large_and_those_beyond_the_last_tile_are_not_shown() -> None:
    tiles = Tiles(2)
    for number in range(3):
        tiles.add(f"p{number}", f"t{number}")
    assert tiles.changes() == {"t0": LARGE, "t1": SMALL, "t2": None}
    tiles.listen_to(["somebody", "p2"])
    assert tiles.changes() == {"t0": SMALL, "t1": None, "t2": LARGE}
    assert tiles.changes() == {}
    tiles.remove_participant("p2")
    assert tiles.changes() == {"t0": LARGE, "t1": SMALL}
    assert tiles.sizes() == [SMALL, LARGE]


async def test_where_one_publishes_the_others_watch() -> None:
    async with meeting_stage("Parley", Shape(1, 3), publishers=1) as here:
        publisher, *watchers = here.crowd.people
        await asyncio.to_thread(until, lambda: all(here.client.received(one.peer) > 200 for one in watchers), 60)
        assert publisher.performer is not None
        assert [one.performer for one in watchers] == [None, None]
        assert publisher.tiles.sizes() == []


def test_cpu_time_is_told_by_source() -> None:
    native = leaves(
        [
            "  ffffffff81234567 __udp_sendmsg ([kernel.kallsyms])",
            "  7f0000000001 forward (/x/sfu/engine/compiled.cpython-311-x86_64-linux-gnu.so)",
            "  7f0000000002 aesni_ctr32_ghash_6x (/usr/lib/libcrypto.so.3)",
            "  7f0000000003 deduce_unreachable (/usr/bin/python3.11)",
            "  7f0000000004 _PyEval_EvalFrameDefault (/usr/bin/python3.11)",
            "  7f0000000005 [unknown] (/usr/lib/x86_64-linux-gnu/libc.so.6)",
            "",
        ]
    )
    assert native == dict.fromkeys(
        ["kernel", "engine", "cipher", "garbage collection", "Python", "other native code"], 1
    )
    python = stacks(
        [
            "run (asyncio.py);_wake (sfu/server/driver.py:9);update (sfu/machines/congestion/trend.py:3) 3",
            "run (asyncio.py);_wake (sfu/server/driver.py:9) 1",
            "run (asyncio.py);pump (sfu/engine/pump.py:80) 9",
        ]
    )
    shares = combined(native, python)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["Python: feedback and repair"] == pytest.approx(0.125)
    assert combined(native, Counter())["Python"] == pytest.approx(1 / 6)
    assert combined(Counter(kernel=1), Counter()) == {"kernel": 1}
