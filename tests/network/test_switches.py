"""A viewer whose layer changes repeatedly decodes everything and never freezes: ten of the 200 in bar_switches."""

from pathlib import Path

from tests.network.layer_switches import switch_layers


async def test_ten_switches_of_layers_disturb_nothing(tmp_path: Path) -> None:
    outcome = await switch_layers(tmp_path, "VP8", "chromium", 10, lip_sync=False)
    print(outcome)
    assert outcome.plis == outcome.lost == 0
