"""The share of time in use: from the kernel's counters, and None without them."""

import time
from pathlib import Path

from sfu.server.time_in_use import TimeInUse


def test_time_that_others_had_does_not_count(tmp_path: Path) -> None:
    counted = tmp_path / "schedstat"
    counted.write_text("1000 500 7\n")
    in_use = TimeInUse(counted)
    assert in_use.read(10_000) is None
    counted.write_text("1300 900 8\n")
    assert in_use.read(11_000) == 0.5
    counted.write_text("9300 900 9\n")
    assert in_use.read(12_000) == 1.0
    counted.write_text("9300 1900 9\n")
    assert in_use.read(13_000) == 1.0


def test_none_is_told_where_nothing_is_counted(tmp_path: Path) -> None:
    in_use = TimeInUse(tmp_path / "schedstat")
    assert [in_use.read(1_000), in_use.read(2_000)] == [None, None]


def test_the_kernel_counts_here() -> None:
    in_use = TimeInUse()
    in_use.read(time.monotonic_ns())
    ends = time.thread_time() + 0.01
    while time.thread_time() < ends:
        pass
    share = in_use.read(time.monotonic_ns())
    assert share is not None and share > 0.3
