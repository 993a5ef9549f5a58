"""Bar: viewers in one house share its line, and none pushes the others aside all the time."""

import asyncio
import contextlib
import time
from itertools import pairwise
from pathlib import Path

import pytest

from sfu.api.join_token import Grants
from tests.network.bar_shared import queue_of
from tests.network.behind_link import UP, down, most_hold, once
from tests.network.behind_link_ours import FarCall
from tests.sfu.server.harness import host
from tests.support.crowd import crowd
from tests.support.far_client import far_client
from tests.support.tun_forwarder import emulated_host
from tests.support.waiting import eventually

SETTLING, SECONDS = 15, 45


async def _in_one_house(tmp_path: Path, seed: int, viewers: int, megabits: int, milliseconds: int) -> bool:
    with emulated_host(down(**queue_of(megabits, milliseconds)), UP, seed) as link:
        addresses = ("127.0.0.1", link.server_address)
        async with (
            host(tmp_path, addresses=addresses, signaling_host="0.0.0.0") as h,
            crowd(h.signaling_url, [h.control.token("r", "ann", grants=Grants(subscribe=False))]),
            contextlib.AsyncExitStack() as stack,
        ):
            url = h.signaling_url.replace("127.0.0.1", link.server_address)
            calls = []
            for number in range(viewers):
                name = f"bob{number}"
                rows = await stack.enter_async_context(far_client(link.prefix, url, h.control.token("r", name)))
                await eventually(lambda rows=rows: bool(rows) and rows[-1]["pictures"] > 0, 30)  # type: ignore[misc]
                calls.append(FarCall(h, link, rows, viewer=name))
            await asyncio.sleep(SETTLING)
            began = time.monotonic()
            while (ended := time.monotonic()) < began + SECONDS:
                for call in calls:
                    call.layers += call.carried
                await asyncio.sleep(0.1)
    changes = [sum(before != after for before, after in pairwise(call.layers)) for call in calls]
    fps = [call.between(began, ended, "pictures") for call in calls]
    used = sum(call.between(began, ended, "bytes") for call in calls) * 8 / (megabits * 1e6)
    holds = min(fps) >= 28 and used >= 0.55 and sum(changes) <= 12 * viewers
    print(
        f"{viewers} viewers, {megabits} Mbps, {milliseconds} ms, seed {seed}: {min(fps):.1f} fps at least, "
        f"{used:.0%} of the line used, changes of layers {changes}: {'holds' if holds else 'missed'}"
    )
    for call in calls:
        print(call.layers[::5])
    return holds


@once
@pytest.mark.parametrize(("viewers", "megabits", "milliseconds"), [(2, 4, 300), (3, 4, 100), (5, 10, 300)])
async def test_viewers_in_one_house(
    tmp_path: Path, viewers: int, megabits: int, milliseconds: int, seeds: range
) -> None:
    assert await most_hold(lambda seed: _in_one_house(tmp_path, seed, viewers, megabits, milliseconds), seeds)
