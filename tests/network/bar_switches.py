"""Bar: 200 layer switches in each browser and codec: all decoded, no freeze, and lip sync afterwards.

`SWITCHES` sets a smaller number; `-k` selects one browser and codec. A miss while the processor was short counts for
nothing: sound is then late.
"""

import os
from pathlib import Path

import pytest

from tests.network.behind_link import most_hold, once
from tests.network.layer_switches import switch_layers

SWITCHES = int(os.environ.get("SWITCHES", "200"))
FREEZE_MS = 500
SKEW_MS = 60


@once
@pytest.mark.parametrize(
    ("browser", "codec"),
    [
        *(("chromium", codec) for codec in ("VP8", "H264", "VP9", "AV1")),
        *(("firefox", codec) for codec in ("VP8", "VP9", "AV1")),
    ],
)
async def test_switches_of_layers_disturb_nothing(tmp_path: Path, browser: str, codec: str) -> None:
    assert await most_hold(lambda _: _undisturbed(tmp_path, browser, codec), range(1))


async def _undisturbed(tmp_path: Path, browser: str, codec: str) -> bool:
    outcome = await switch_layers(tmp_path, codec, browser, SWITCHES)
    holds = outcome.plis == outcome.lost == 0 and outcome.longest_gap <= FREEZE_MS and abs(outcome.skew) <= SKEW_MS
    print(f"{browser}, {codec}: {outcome}: {'holds' if holds else 'missed'}")
    return holds
