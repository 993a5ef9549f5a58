"""Metrics of media: quantiles over live peers, and the process's own metrics."""

from pathlib import Path

from tests.sfu.server.harness import host


async def test_every_family_is_there_without_peers(tmp_path: Path) -> None:
    async with host(tmp_path) as running:
        exported = await running.metrics()
    for quantile in ("0.5", "0.9", "0.99", "1"):
        assert exported[f'parley_sfu_round_trip_seconds{{share="{quantile}"}}'] == 0
        assert exported[f'parley_sfu_jitter_seconds{{share="{quantile}"}}'] == 0
        for direction in ("in", "out"):
            assert exported[f'parley_sfu_loss_ratio{{direction="{direction}",share="{quantile}"}}'] == 0
    assert exported['parley_sfu_estimate_bytes_per_second{share="0.1"}'] == 0
    assert exported['parley_sfu_slots{kind="video",state="waiting"}'] == 0
    assert exported["process_cpu_seconds_total"] > 0
