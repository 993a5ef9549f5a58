"""Bar: of 25 publishers behind 2 Mbps, the speaker is seen well; each other one moves or is shown as paused."""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sfu.api.join_token import Grants
from tests.network.behind_link import UP, ViewerCall, chromium_at, concealed_between, down, most_hold, once, page_at
from tests.network.moving import follow, stands_still
from tests.sfu.server.harness import host
from tests.support.crowd import crowd
from tests.support.layered_publisher import LAYERS
from tests.support.tun_forwarder import emulated_host
from tests.support.waiting import eventually

PUBLISHERS, RATE = 25, 2_000_000
SETTLES, LASTS = 15, 15
SPEAKER_WIDTH = LAYERS["h"][0]  # 1280 would cost all of the link


async def _crowded(tmp_path: Path, seed: int, **changes: Any) -> bool:
    with emulated_host(down(RATE), UP, seed) as link:
        addresses = ("127.0.0.1", link.server_address)
        async with (
            host(tmp_path, addresses=addresses, signaling_host="0.0.0.0", **changes) as h,
            page_at(link.server_address) as page,
            chromium_at(link.prefix, page) as bob,
        ):
            silent = Grants(subscribe=False)
            tokens = [h.control.token("r", f"p{number}", grants=silent) for number in range(PUBLISHERS)]
            async with crowd(h.signaling_url, tokens):
                url = h.signaling_url.replace("127.0.0.1", link.server_address)
                await bob.evaluate(f"join('{url}', {{token: '{h.control.token('r', 'bob')}'}}).then(() => true)")
                call = ViewerCall(h, link, bob)
                participants = h.node.rooms["r"].participants
                await eventually(lambda: participants["bob"].subscription is not None, 20)
                return await _judge(call, f"seed {seed} {changes or ''}")


async def _judge(call: ViewerCall, about: str) -> bool:
    cameras = {
        entry.track: entry.participant for entry in call.h.node.rooms["r"].uptracks.values() if not entry.is_audio
    }
    speaker = next(track for track, who in cameras.items() if who == "p0")
    await call.bob.evaluate(f"tell({{kind: 'subscribe', tracks: {json.dumps(_wishes(cameras, speaker))}}})")
    await asyncio.sleep(SETTLES)
    sound = await call.inbound("audio")
    samples = await follow(call, cameras, LASTS)
    heard = await call.inbound("audio")
    paused = sum(of_track[-1].paused for of_track in samples.values())
    still = [track for track, of_track in samples.items() if stands_still(of_track)]
    for track in still:
        print(f"{cameras[track]} stands still: {samples[track]}")
    width = samples[speaker][-1].width
    concealed = concealed_between(sound, heard)
    waits = sorted(wait for _, wait in call.queueing)
    holds = width >= SPEAKER_WIDTH and not still
    print(
        f"{about}: speaker {width} wide, {paused} of {len(cameras)} paused, {len(still)} stand "
        f"still unsaid, {concealed:.2%} concealed, p95 queue {waits[int(len(waits) * 0.95)]:.2f} s: "
        f"{'holds' if holds else 'missed'}"
    )
    return holds


def _wishes(cameras: Iterable[str], speaker: str) -> list[dict[str, Any]]:
    """The speaker large, the others as tiles."""
    widths = {track: 1280 if track == speaker else 320 for track in cameras}
    return [{"track": track, "width": width, "height": width * 9 // 16} for track, width in widths.items()]


@once
async def test_a_crowd_behind_two_megabits_moves_or_is_said_to_be_paused(tmp_path: Path, seeds: range) -> None:
    assert await most_hold(lambda seed: _crowded(tmp_path, seed), seeds)


@once
async def test_without_the_estimator_it_does_not(tmp_path: Path) -> None:
    try:
        async with asyncio.timeout(100):
            holds = await _crowded(tmp_path, 1, estimate_bandwidth=False)
    except TimeoutError:  # not even the call comes about
        holds = False
    assert not holds
