"""Bars: a link shared with a TCP flow that always has data, towards the viewer and from the publisher."""

import itertools
import time
from pathlib import Path

import pytest

from tests.network.behind_link import down, most_hold, once, viewer_call
from tests.network.behind_link_ours import far_call
from tests.support.tcp_load import tcp_load

SECONDS = 22
LEAST, TCP_SHARE = 500_000, 0.4
CASES = list(itertools.product((2, 4, 20), (50, 100, 300, 1000), ("cubic", "bbr")))
"""The link's rate in Mbps, its queue in ms, and the congestion control of the TCP flow: loss-based or model-based."""


def queue_of(megabits: float, milliseconds: int) -> dict[str, int]:
    """Return the settings of a link with a queue of that length."""
    return {"rate": int(megabits * 1e6), "queue_bytes": int(megabits * 1e3 * milliseconds / 8)}


def _said(holds: bool) -> str:
    return "holds" if holds else "missed"


async def _shared(tmp_path: Path, seed: int, megabits: int, milliseconds: int, control: str, **changes: bool) -> bool:
    """A viewer of ours, since a browser needs half of a small machine."""
    async with far_call(tmp_path, down(**queue_of(megabits, milliseconds)), seed, **changes) as call:
        await call.watch(4)
        with tcp_load(call.link, control) as load:
            await call.watch(3)
            began, before, seen = time.monotonic(), load.received(), len(call.layers)
            await call.watch(SECONDS)
            ended = time.monotonic()
            share = (load.received() - before) * 8 / (ended - began) / (megabits * 1e6)
    layers = call.layers[seen:]
    paused = layers.count("-") / len(layers)
    fps, rate = call.between(began, ended, "pictures"), call.between(began, ended, "bytes") * 8
    holds = fps >= 25 and rate >= LEAST and paused <= 0.05 and share >= TCP_SHARE
    print(
        f"{control}, {megabits} Mbps, {milliseconds} ms, seed {seed} {changes or ''}: {fps:.1f} fps, "
        f"{rate / 1e6:.2f} Mbps, paused {paused:.0%}, TCP has {share:.0%}: {_said(holds)}; {layers[::5]}"
    )
    return holds


@once
@pytest.mark.parametrize(("megabits", "milliseconds", "control"), CASES)
async def test_a_picture_beside_a_download(
    tmp_path: Path, megabits: int, milliseconds: int, control: str, seeds: range
) -> None:
    assert await most_hold(lambda seed: _shared(tmp_path, seed, megabits, milliseconds, control), seeds)


async def _in_chromium(tmp_path: Path, seed: int) -> bool:
    async with viewer_call(tmp_path, down(**queue_of(4, 300)), seed) as call:
        await call.watch(4)
        with tcp_load(call.link, "cubic") as load:
            await call.watch(3)
            before, began, seen = await call.inbound("video"), time.monotonic(), len(call.layers)
            downloaded = load.received()
            await call.watch(SECONDS)
            after, ended = await call.inbound("video"), time.monotonic()
            share = (load.received() - downloaded) * 8 / (ended - began) / 4e6
    fps = (after["frames"] - before["frames"]) / (ended - began)
    rate = (after["bytes"] - before["bytes"]) * 8 / (ended - began)
    holds = fps >= 25 and rate >= LEAST and share >= TCP_SHARE
    print(
        f"Chromium, seed {seed}: {fps:.1f} fps, {rate / 1e6:.2f} Mbps, frozen "
        f"{after['frozen'] - before['frozen']:.1f} s, TCP has {share:.0%}: {_said(holds)}; {call.layers[seen::5]}"
    )
    return holds


@once
async def test_a_picture_beside_a_download_in_chromium(tmp_path: Path, seeds: range) -> None:
    assert await most_hold(lambda seed: _in_chromium(tmp_path, seed), seeds)
